"""Changes the code in one place at a time, and checks that a quick test or mypy fails then.

Run: ``make mutation``. Exit code 1 if a mutant survives that is not in
``explained_survivors.toml``. Uses mutmut, which copies the code to ``mutants``, puts all mutants of
a function beside it, and forks a process for each mutant that runs the tests of the function.
Source: https://github.com/boxed/mutmut.
"""

import argparse
import random
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import kept_databases
import libcst as cst
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import LineSpan, MutantLineSpans, SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import FailedTypeCheckMutant, MutatedMethodLocation
from mutmut.stats import status_by_exit_code
from mutmut.type_checking import TypeCheckingError, run_type_checker
from mutmut.utils.file_utils import (
    change_cwd,
    copy_also_copy_files,
    copy_src_dir,
    setup_source_paths,
    walk_mutatable_files,
)
from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key
from verdicts import (
    EXPLAINED,
    SURVIVORS,
    Mutant,
    Verdict,
    changed_lines,
    problems_of,
    read_explained,
    table,
)

PACKAGE = Path("m3sync_dagster")
TESTS = Path("m3sync_dagster_tests")
MODULES = ("sync", "guard", "state", "salesforce/error_classification.py")
"""What is mutated if nothing is selected: what decides, what is stored, and what an error means."""
SKIPPED = 34
"""mutmut's exit code for a mutant that is not to be tried."""
VERDICTS = {
    "killed": Verdict.KILLED,
    "caught by type check": Verdict.TYPES,
    "timeout": Verdict.TIMEOUT,
    "survived": Verdict.SURVIVED,
    "no tests": Verdict.NOT_RUN,
    "skipped": Verdict.NOT_TRIED,
}


def main() -> int:
    """Try the mutants, print the survivors and the counts; gives the exit code."""
    arguments = _arguments()
    shutil.rmtree("mutants", ignore_errors=True)
    _configure(arguments.modules or MODULES)
    _leave_wording_alone()
    mutmut.filter_mutants_with_type_checker = _refused_by_mypy  # type: ignore[attr-defined]
    if arguments.sample:
        _generate()
        _skip_all_but(arguments.sample, arguments.seed)
    try:
        mutmut._run((), 1)
    finally:
        kept_databases.close()
    return _report(list(_mutants()), all_tried=not arguments.sample)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="files or folders below m3sync_dagster")
    parser.add_argument("--sample", type=int, help="try so many mutants, not all")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample")
    arguments = parser.parse_args()
    for module in arguments.modules:
        if not (PACKAGE / module).exists():
            parser.error(f"{PACKAGE / module} does not exist; name a file or folder of {PACKAGE}")
    return arguments


def _configure(modules: Iterable[str]) -> None:
    """Mutate the modules, and judge by mypy and by the tests that mirror them."""
    paths = [PACKAGE / one for one in modules]
    settings = config()
    settings.only_mutate = [f"{one}/*" if one.is_dir() else str(one) for one in paths]
    settings.do_not_mutate = ["*/migrations/*"]  # they run once, before any mutant does
    settings.pytest_add_cli_args_test_selection = sorted(
        {str(tests) for one in paths for tests in _tests_of(one)}
    )
    settings.type_check_command = [
        *("mypy", *map(str, paths)),
        *("--output", "json", "--disable-error-code", "unused-ignore"),
        *("--cache-dir", str(Path(".mypy_cache/mutation").absolute())),
    ]


def _tests_of(path: Path) -> list[Path]:
    """The tests that judge a file or a folder: those that mirror it, else those of its folder.

    The tests of ``ledger.py`` are in ``test_ledger.py``, and also in ``test_ledger_jobs.py``.
    """
    mirror = TESTS / path.relative_to(PACKAGE)
    own = list(mirror.parent.glob(f"test_{mirror.stem}.py"))
    own += mirror.parent.glob(f"test_{mirror.stem}_*.py")
    return [mirror] if path.is_dir() else own or [mirror.parent]


def _leave_wording_alone() -> None:
    """Mutate only strings without a space: names, keys and codes, not sentences; each once."""
    mutate = mutators.operator_string

    def names_only(node: cst.BaseString) -> Iterator[cst.BaseString]:
        if isinstance(node, cst.SimpleString) and " " not in node.value:
            yield from list(mutate(node))[:1]

    operators = cast("list[tuple[type, object]]", mutators.mutation_operators)
    operators[:] = [(kind, names_only if one is mutate else one) for kind, one in operators]


def _refused_by_mypy() -> dict[str, FailedTypeCheckMutant]:
    """Find the mutants that mypy refuses, by their names.

    A mutant that sets an attribute to None changes the attribute's type in the whole class. So an
    error that mypy also reports outside the mutants of a file says nothing about a mutant.
    """
    with change_cwd("mutants"):
        errors = run_type_checker(config().type_check_command)
    places = [(error, _mutant_at(error.file_path, error.line_number)) for error in errors]
    elsewhere = {_text(error) for error, place in places if place is None}
    return {
        get_mutant_name(place.file, place.function_name): FailedTypeCheckMutant(
            place, place.function_name, error
        )
        for error, place in places
        if place is not None and _text(error) not in elsewhere
    }


def _text(error: TypeCheckingError) -> tuple[Path, str]:
    return error.file_path, error.error_description


def _mutant_at(file: Path, line: int) -> MutatedMethodLocation | None:
    """The mutant with this line; none for the rest of a file and its copies of the original."""
    path = file.relative_to(Path.cwd() / "mutants")
    for name, span in _lines_of(path).items():
        if span.start <= line <= span.end and not name.endswith("__mutmut_orig"):
            return MutatedMethodLocation(path, name, span.start, span.end)
    return None


@cache
def _lines_of(path: Path) -> Mapping[str, LineSpan]:
    """The lines of each function in a mutated file."""
    index = MutantLineSpans.load(path)
    return index.span_by_function_name if index else {}


def _generate() -> None:
    """Write the mutants before mutmut does, which then uses these."""
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    mutmut.create_mutants(1)


def _skip_all_but(number: int, seed: int) -> None:
    """Let a random sample of the mutants be tried."""
    files = list(_data())
    names = sorted(name for data in files for name in data.exit_code_by_key)
    chosen = set(random.Random(seed).sample(names, min(number, len(names))))  # noqa: S311 - no secret
    for data in files:
        for name in data.exit_code_by_key.keys() - chosen:
            data.exit_code_by_key[name] = SKIPPED
        data.save()


def _data() -> Iterator[SourceFileMutationData]:
    """Read mutmut's file about each module that it has mutated."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        yield data


def _mutants() -> Iterator[Mutant]:
    for data in _data():
        file = Path(data.path).relative_to(PACKAGE).as_posix()
        for name, exit_code in data.exit_code_by_key.items():
            function, class_name = orig_function_and_class_names_from_key(name)
            # An exit code that mutmut does not know says nothing: it counts as a survivor.
            verdict = VERDICTS.get(status_by_exit_code[exit_code], Verdict.SURVIVED)
            before, after = "", ""
            if verdict in SURVIVORS:
                before, after = changed_lines(
                    get_diff_for_mutant(name, path=data.path).splitlines()
                )
            full_name = f"{class_name}.{function}" if class_name else function
            yield Mutant(file, full_name, before, after, verdict)


def _report(mutants: Sequence[Mutant], *, all_tried: bool) -> int:
    """Print what a person has to look at, then the counts."""
    explained = read_explained(EXPLAINED.read_text())
    problems = problems_of(mutants, explained, all_tried=all_tried)
    print("\n".join(["", *problems, "", table(mutants, explained)]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
