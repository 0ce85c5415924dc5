"""What the tests say about each mutant, and the list of survivors that are explained.

A survivor that is not in the list is an error. So is an entry of the list that no survivor matches,
unless only a sample was tried.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

EXPLAINED = Path(__file__).with_name("explained_survivors.toml")


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed by a test"
    TYPES = "refused by mypy"
    TIMEOUT = "stopped, too slow"
    SURVIVED = "survived"
    NOT_RUN = "run by no quick test"
    NOT_TRIED = "not tried"


SURVIVORS = {Verdict.SURVIVED, Verdict.NOT_RUN}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the code.

    Args:
        file: the path of the module below ``m3sync_dagster``.
        function: the function's name, with its class.
        before: the lines that are changed.
        after: the lines that replace them.
        verdict: what became of it.
    """

    file: str
    function: str
    before: str
    after: str
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.file}, {self.function}, {self.verdict}:\n- {self.before}\n+ {self.after}"


@dataclass(frozen=True, slots=True)
class Explained:
    """Survivors that no quick test needs to kill.

    Args:
        file: where they are.
        function: the function with its class, in which ``*`` matches any characters.
        reason: why no test kills them.
        after: the lines of the mutant, in which ``*`` matches any characters.
        verdict: what became of them.
    """

    file: str
    function: str
    reason: str
    after: str = "*"
    verdict: str = Verdict.SURVIVED

    def matches(self, mutant: Mutant) -> bool:
        """Whether the entry explains this mutant."""
        return (
            (self.file, self.verdict) == (mutant.file, mutant.verdict)
            and _fits(self.function, mutant.function)
            and _fits(self.after, mutant.after)
        )


def _fits(pattern: str, text: str) -> bool:
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


def read_explained(text: str) -> list[Explained]:
    """The entries of the list, from TOML: a table of entries for each module."""
    return [
        Explained(file, **entry)
        for file, entries in tomllib.loads(text).items()
        for entry in entries
    ]


def changed_lines(diff: Iterable[str]) -> tuple[str, str]:
    """The removed and the added lines of a unified diff, without their indentation."""
    lines = [line for line in diff if not line.startswith(("---", "+++"))]
    before, after = (
        "\n".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+"
    )
    return before, after


def problems_of(
    mutants: Sequence[Mutant], explained: Sequence[Explained], *, all_tried: bool
) -> list[str]:
    """The survivors that no entry explains, and the entries that explain none."""
    survivors = [one for one in mutants if one.verdict in SURVIVORS]
    problems = [
        f"no test kills this mutant: {one}"
        for one in survivors
        if not any(entry.matches(one) for entry in explained)
    ]
    files = {one.file for one in mutants}
    if all_tried:
        problems += [
            f"the entry {entry.file}, {entry.function}, {entry.after} has no survivor; remove it"
            for entry in explained
            if entry.file in files and not any(entry.matches(one) for one in survivors)
        ]
    return problems


def table(mutants: Iterable[Mutant], explained: Sequence[Explained]) -> str:
    """The counts of each package, as a table in Markdown."""
    counts: dict[str, Counter[str]] = {}
    for one in mutants:
        is_explained = any(entry.matches(one) for entry in explained)
        found = counts.setdefault(one.file.partition("/")[0], Counter())
        found["survived, explained" if is_explained else one.verdict] += 1
    columns = [*Verdict, "survived, explained"]
    rows = [
        [name, str(found.total()), *(str(found[column]) for column in columns)]
        for name, found in counts.items()
    ]
    head = [["package", "mutants", *columns], ["---", *["---:"] * (len(columns) + 1)]]
    return "\n".join(f"| {' | '.join(row)} |" for row in (*head, *rows))
