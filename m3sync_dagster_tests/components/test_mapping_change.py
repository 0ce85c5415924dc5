"""Writing a proposed mapping into a ``defs.yaml``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from m3sync_dagster.components.add_to_yaml import Added, Additions
from m3sync_dagster.components.mapping_change import change_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, edited

ADDED: Additions = {"entities": Added({"account": Added({"object": Added("Account")})})}
AFTER = edited("account: {}", "account:\n      object: Account")


@pytest.fixture
def file(defs_folder: DefsFolder) -> Path:
    return defs_folder.path / "acme" / "defs.yaml"


def test_the_difference_is_shown_and_then_written(file: Path) -> None:
    file.chmod(0o640)
    change = change_mapping("acme", ADDED)
    assert file.read_text() == INTEGRATION
    shown = change.diff().splitlines()
    assert shown[:2] == [f"--- {file}", f"+++ {file}"]
    assert [line for line in shown[3:] if line[0] in "+-"] == [
        "-    account: {}",
        "+    account:",
        "+      object: Account",
    ]
    assert change.write() == file
    assert file.read_text() == AFTER
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_a_line_without_an_end_is_marked_in_the_difference(file: Path) -> None:
    file.write_text(INTEGRATION.rstrip())
    assert "    balance: {}\n\\ No newline at end of file\n" in change_mapping("acme", ADDED).diff()


def test_a_link_stays_one(defs_folder: DefsFolder, file: Path) -> None:
    shared = file.rename(defs_folder.path / "shared.yaml")
    file.symlink_to("../shared.yaml")
    change_mapping("acme", ADDED).write()
    assert file.is_symlink()
    assert shared.read_text() == AFTER


def _read_only(file: Path) -> None:
    file.chmod(0o444)


def _changed(file: Path) -> None:
    file.write_text(INTEGRATION + "# A colleague's.\n")


def _deleted(file: Path) -> None:
    file.unlink()


HINDRANCES: dict[str, tuple[Callable[[Path], None], str]] = {
    "read-only": (_read_only, r"it is read-only\)\. Change the file where it comes from"),
    "changed": (_changed, r"was changed meanwhile\. Nothing was written\. Run the command again"),
    "deleted": (_deleted, r"No such file or directory"),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_a_file_that_cannot_be_replaced_stays(file: Path, hindrance: str) -> None:
    hinder, message = HINDRANCES[hindrance]
    change = change_mapping("acme", ADDED)
    hinder(file)
    before = file.read_bytes() if file.exists() else None
    with pytest.raises(ConfigurationError, match=message):
        change.write()
    assert (file.read_bytes() if file.exists() else None) == before
    assert set(file.parent.iterdir()) <= {file}


def test_a_mapping_that_would_be_invalid_is_refused(file: Path) -> None:
    twice = {"code": Added("Name"), "name": Added("name")}
    entity = Added({"account": Added({"fields": Added(twice)})})
    with pytest.raises(ConfigurationError, match="mapped twice") as caught:
        change_mapping("acme", {"entities": entity})
    assert f"make {file} invalid" in str(caught.value)
    assert file.read_text() == INTEGRATION


def test_a_name_that_a_template_makes_is_not_found(file: Path) -> None:
    file.write_text(edited("name: acme", "name: \"{{ 'ac' + 'me' }}\""))
    with pytest.raises(ConfigurationError, match="edit the mapping by hand"):
        change_mapping("acme", ADDED)


def test_a_file_that_needs_its_neighbours_can_be_changed(file: Path) -> None:
    (file.parent / "names.py").write_text(
        "import dagster as dg\n\n@dg.template_var\ndef prod(): return 'salesforce_production'\n"
    )
    text = edited(": salesforce_production", ': "{{ prod }}"') + "template_vars_module: .names\n"
    file.write_text(text)
    change_mapping("acme", ADDED).write()
    assert "      object: Account\n" in file.read_text()
