"""YAML that would not be read as it is meant is refused, and so is a file that is not a text."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest

from m3sync_dagster.components import edit_defs_yaml
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.components.yaml_text_checks import (
    MOST_BYTES,
    UnclearYamlError,
    require_clear,
)
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder

NOBODY = 65534

CONSTANT = INTEGRATION.replace("account: {}", "account: {constants: {Land__c: %s}}")

REFUSED = [
    ("NO", "false"), ("no", "false"), ("Off", "false"), ("n0", None), ("YES", "true"),
    ("on", "true"), ("True", "true"), ("FALSE", "false"), ("007", "7"), ("-010", "-8"),
    ("0b11", "3"), ("0o17", None), ("0x1F", "31"), ("+7", "7"), ("1_000", "1000"),
    ("12:30", "750"), ("1:30:00", "5400"), ("12:30.5", "750.5"), ("1.10", "1.1"),
    ("1_0.5", "10.5"), (".5", "0.5"), ("5.", "5.0"), ("1.0e+3", "1000.0"), ("1e3", None),
    ("0.1234567890123456789", "0.12345678901234568"), (".inf", "another value"),
    (".NaN", "another value"), ("2026-01-31", None), ("2026-01-31T10:00:00Z", None),
    ("true", None), ("false", None), ("0", None), ("-12", None), ("12.5", None), ("0.0", None),
    ("12345678901234567890", None), ("'NO'", None), ('"007"', None), ("!!str 007", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "read"), REFUSED)
def test_a_value_that_yaml_changes_is_refused(
    defs_folder: DefsFolder, written: str, read: str | None
) -> None:
    file = defs_folder.write("acme", CONSTANT % written)
    problems = [problem.message for problem in load_project().problems]
    if read is None:
        assert problems == []
        return
    (message,) = problems
    place = f"{file}:9, attributes.entities.account.constants.Land__c"
    assert message.startswith(f"{place}: YAML reads {written} as {read}. Put it in quotes, ")
    assert f"'{written}'" in message


def test_a_block_of_text_is_not_read_for_numbers(defs_folder: DefsFolder) -> None:
    block = "account:\n      constants:\n        Land__c: |\n          NO\n"
    defs_folder.write("acme", INTEGRATION.replace("account: {}\n", block))
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    assert component.integration().mappings["account"].constants == {"Land__c": "NO\n"}


UNCLEAR: list[tuple[str, str, list[str]]] = [
    (
        "  namespace: custom_objects\n",
        "  namespace: custom_objects\n  namespace: m3ter_connector\n",
        [":7, attributes.namespace: namespace is in line 6 and again in line 7"],
    ),
    (
        "account: {}",
        "account: {constants: {A__c: a, B__c: b, 'A__c': c}}",
        [
            ":9, attributes.entities.account.constants.A__c: A__c is in line 9 and again",
        ],
    ),
    (
        "contract: {}",
        "contract: {}\n    account:\n      fields: {name: X__c}",
        [":11, attributes.entities.account: account is in line 9 and again in line 11"],
    ),
    (
        "attributes:",
        "post_processing: {assets: []}\npost_processing: {}\nattributes:",
        [":3, post_processing: post_processing is in line 2 and again in line 3"],
    ),
    (
        "account: {}",
        "account: {custom_field_mappings: {no: A__c, 12: B__c}}",
        [
            ":9, attributes.entities.account.custom_field_mappings.no: no is used as a name",
            ":9, attributes.entities.account.custom_field_mappings.12: 12 is used as a name",
        ],
    ),
    (
        "  entities:",
        "  account_ids: [007, 0x1]\n  minute_of_hour: 03\n  entities:",
        [
            ":8, attributes.account_ids.0: YAML reads 007 as 7",
            ":8, attributes.account_ids.1: YAML reads 0x1 as 1",
            ":9, attributes.minute_of_hour: YAML reads 03 as 3",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "lines"), UNCLEAR, ids=[u[2][0] for u in UNCLEAR])
def test_every_unclear_place_is_named(
    defs_folder: DefsFolder, old: str, new: str, lines: list[str]
) -> None:
    assert old in INTEGRATION
    file = defs_folder.write("acme", INTEGRATION.replace(old, new))
    (problem,) = load_project().problems
    reported = problem.message.splitlines()
    assert len(reported) == len(lines)
    for line, start in zip(reported, lines, strict=True):
        assert line.startswith(f"{file}{start}")
    assert problem.name == "acme"


def test_aliases_and_merged_blocks_are_no_repetition(defs_folder: DefsFolder) -> None:
    shared = "account: &shared {when_gone: keep}\n    contract:\n      <<: *shared\n"
    defs_folder.write(
        "acme",
        INTEGRATION.replace("account: {}\n    contract: {}\n", f"{shared}      fields: {{}}\n"),
    )
    assert load_project().problems == []


def test_aliases_that_multiply_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(UnclearYamlError, match="aliases"):
        require_clear("\n".join(lines))
    with pytest.raises(UnclearYamlError, match="aliases"):
        require_clear("a: &a [*a]")


def write(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def unreadable(file: Path) -> None:
    file.write_text(INTEGRATION)
    file.chmod(0)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "utf-16": (write(INTEGRATION.encode("utf-16")), "{file} is in UTF-16, or not a text. Save"),
    "utf-16-be": (write(INTEGRATION.encode("utf-16-be")), "{file} is in UTF-16"),
    "latin-1": (
        write(INTEGRATION.replace("acme", "Zürich").encode("latin-1")),
        "{file}:3 is not in UTF-8. Save the file in the encoding UTF-8.",
    ),
    "empty": (write(b""), "{file}:1: there is nothing in this file."),
    "comments alone": (write(b"# nothing\n"), "{file}:1: there is nothing in this file."),
    "folder": (Path.mkdir, "{file} is not a file. Put a file of this name there."),
    "pipe": (os.mkfifo, "{file} is not a file."),
    "device": (lambda file: file.symlink_to("/dev/zero"), "{file} is not a file."),
    "link to nowhere": (
        lambda file: file.symlink_to("nowhere"),
        "{file} cannot be read (No such file or directory)",
    ),
    "link to itself": (
        lambda file: file.symlink_to(file),
        "{file} cannot be read (Too many levels of symbolic links)",
    ),
    "unreadable": (unreadable, "{file} cannot be read (Permission denied)"),
    "50 MB": (
        lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 50_000_000),
        "{file} is larger than 1024 KiB. Split it into several files",
    ),
    "tabs": (
        write(INTEGRATION.replace("  name", "\tname").encode()),
        "{file}:3: found character '\\t' that cannot start any token",
    ),
}


@contextmanager
def without_rights() -> Iterator[None]:
    """As another user, since root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_none_is_a_named_problem_of_its_own(
    defs_folder: DefsFolder, kind: str
) -> None:
    make, words = FILES[kind]
    file = defs_folder.path / "other" / "defs.yaml"
    file.parent.mkdir()
    make(file)
    temporary = Path(tempfile.gettempdir())
    folders = (defs_folder.path, *defs_folder.path.parents)
    for folder in takewhile(lambda folder: folder != temporary, folders):
        folder.chmod(0o755)
    with without_rights():
        project = load_project()
    (problem,) = project.problems
    assert problem.message.startswith(words.format(file=file))
    assert (problem.name, problem.path) == ("other", file)
    assert "acme" in project.of_type(SalesforceSync)


def test_a_byte_order_mark_is_no_part_of_the_text(defs_folder: DefsFolder) -> None:
    file = defs_folder.path / "acme" / "defs.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + INTEGRATION.encode())
    assert load_project().problems == []
    edit_defs_yaml.disconnect("acme")
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    assert component.salesforce_credential is None
    assert file.read_bytes().startswith(b"\xef\xbb\xbftype:")


def test_the_largest_file_that_is_taken_is_read(defs_folder: DefsFolder) -> None:
    filler = "#" * (MOST_BYTES - len(INTEGRATION.encode()) - 1) + "\n"
    defs_folder.write("acme", filler + INTEGRATION)
    assert load_project().problems == []
    defs_folder.write("acme", "#" + filler + INTEGRATION)
    (problem,) = load_project().problems
    assert "is larger than" in problem.message
