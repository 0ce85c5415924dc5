"""What ``m3sync dev`` notices of edited files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from m3sync_dagster.cli.changed_defs import DefsChange, DefsWatch
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder, edited

GLOBEX = edited("name: acme", "name: globex")


def settled(watch: DefsWatch) -> DefsChange | None:
    """The change that is seen once the files stay as they are."""
    assert watch.change() is None
    return watch.change()


EDITS: dict[str, tuple[Callable[[DefsFolder], object], list[str]]] = {
    "a new integration": (
        lambda folder: folder.write("globex", GLOBEX),
        ["added: integration globex"],
    ),
    "another option": (
        lambda folder: folder.write("acme", edited("account: {}", "account: {truncate: [name]}")),
        ["changed: integration acme"],
    ),
    "another name": (
        lambda folder: folder.write("acme", GLOBEX),
        ["removed: integration acme", "added: integration globex"],
    ),
    "a deleted file": (
        lambda folder: (folder.path / "acme" / "defs.yaml").unlink(),
        ["removed: integration acme"],
    ),
    "a comment": (lambda folder: folder.write("acme", f"# Hi.\n{INTEGRATION}"), []),
    "a credential": (
        lambda folder: folder.write("credentials", CREDENTIALS.replace("1000", "900")),
        ["changed: m3ter credential m3ter_production"],
    ),
}


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_is_described(defs_folder: DefsFolder, kind: str) -> None:
    edit, changes = EDITS[kind]
    watch = DefsWatch()
    edit(defs_folder)
    seen = settled(watch)
    assert seen
    assert sorted(seen.changes) == sorted(changes)
    assert seen.problems == []
    assert settled(watch) is None


def test_a_mistake_is_described_and_its_correction_too(defs_folder: DefsFolder) -> None:
    watch = DefsWatch()
    path = defs_folder.write("acme", edited("namespace:", "namespaze:"))
    seen = settled(watch)
    assert seen
    assert seen.changes == ["invalid: integration acme"]
    assert f"{path}:6" in seen.problems[0]
    assert "did you mean namespace?" in seen.problems[0]
    defs_folder.write("acme", INTEGRATION)
    seen = settled(watch)
    assert seen
    assert (seen.changes, seen.problems) == (["valid again: integration acme"], [])


def test_a_file_that_is_still_being_written_is_waited_for(defs_folder: DefsFolder) -> None:
    watch = DefsWatch()
    defs_folder.write("globex", "type: ")
    assert watch.change() is None
    defs_folder.write("globex", GLOBEX)
    seen = settled(watch)
    assert seen
    assert seen.changes == ["added: integration globex"]


def test_a_file_that_replaces_another_of_the_same_size_is_noticed(
    defs_folder: DefsFolder, tmp_path: Path
) -> None:
    path = defs_folder.path / "acme" / "defs.yaml"
    new = tmp_path / "new.yaml"
    new.write_text(INTEGRATION.replace("start: 2026-11-01", "start: 2026-11-02"))
    watch = DefsWatch()
    new.replace(path)
    seen = settled(watch)
    assert seen
    assert seen.changes == ["changed: integration acme"]
