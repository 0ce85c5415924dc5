"""YAML that asks for objects of Python: nothing is built, and nothing runs."""

from pathlib import Path

import pytest

from m3sync_dagster.components.edit_defs_yaml import connect
from m3sync_dagster.components.load_one_integration import load_integration
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import DefsFolder, edited

TAGS = {
    "a call": "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{}]]",
    "a new object": "!!python/object/new:pathlib.Path [{}]",
    "a function": "!!python/name:os.system {}",
    "a module": "!!python/module:antigravity {}",
    "a tag of nobody": "!run {}",
}


@pytest.mark.parametrize("kind", TAGS)
@pytest.mark.parametrize("attribute", ["start: 2026-11-01-00:00", "type: m3sync_dagster.Sales"])
def test_a_file_with_a_tag_is_refused(
    kind: str, attribute: str, defs_folder: DefsFolder, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    value = TAGS[kind].format(made)
    key, _, given = attribute.partition(": ")
    text = edited(f"{key}: {given}", f"{key}: {value} #")
    file = defs_folder.write("acme", text)
    problems = load_project().problems
    assert [one.path for one in problems] == [file]
    with pytest.raises(ConfigurationError):
        load_integration("acme")
    with pytest.raises(ConfigurationError):
        connect("acme", "other")
    assert not made.exists()
    assert file.read_text() == text
