"""No process that has secrets leaves a core file."""

import resource
import sys
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from m3sync_dagster.cli import main
from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import Sandbox


@pytest.fixture
def hard_limit() -> Iterator[int]:
    """A process that may leave a core file, as far as this machine allows it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    _soft, hard = before
    if hard == 0:
        pytest.skip("this machine allows no core files")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_CORE, before)


def run_a_command() -> None:
    with pytest.raises(SystemExit):
        main()


def load_the_code_location() -> None:
    defs()


@pytest.mark.parametrize("start", [run_a_command, load_the_code_location])
def test_a_command_and_a_code_location_leave_none(
    start: Callable[[], None],
    hard_limit: int,
    environment: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["m3sync", "--version"])
    start()
    # The hard limit stays: a person may still want one.
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, hard_limit)


def test_a_process_of_dagster_leaves_none(hard_limit: int, instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, hard_limit)
