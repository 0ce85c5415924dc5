"""Few garbage collections while a program imports and builds definitions, and none at its end."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from m3sync_dagster.cli import main
from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import DefsFolder

MOST_COLLECTIONS = 20
"""For one integration; at Python's own thresholds it is a hundred and more."""


@pytest.fixture
def _thresholds_of_python() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_thresholds_of_python")
def test_a_command_imports_with_few_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["m3sync", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert gc.get_threshold()[0] >= 7_000


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "said"), [("", "collected"), ("collect_less_often()", "")])
def test_a_program_ends_without_a_collection(begin: str, said: str) -> None:
    garbage = f"""
from m3sync_dagster.gc_settings import collect_less_often

class Garbage:
    def __del__(self):
        print("collected")

{begin}
garbage = Garbage()
garbage.itself = garbage
"""
    without_settings_of_tests = [sys.executable, "-S", "-c", garbage]
    assert subprocess.check_output(without_settings_of_tests, text=True).strip() == said


def test_definitions_are_exempt_from_garbage_collection(defs_folder: DefsFolder) -> None:
    gc.unfreeze()
    thresholds = gc.get_threshold()
    young, _, full = (each["collections"] for each in gc.get_stats())
    loaded = defs()
    assert gc.get_stats()[2]["collections"] == full
    assert gc.get_stats()[0]["collections"] - young <= MOST_COLLECTIONS
    assert gc.get_threshold() == thresholds
    assert not any(one is loaded for one in gc.get_objects())
    assert gc.get_freeze_count()
