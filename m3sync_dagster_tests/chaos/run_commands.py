"""Runs of ``m3sync run``, each in a process of its own."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from m3sync_dagster.state import is_locked
from m3sync_dagster_tests.chaos.disturbed_world import DisturbedWorld
from m3sync_dagster_tests.chaos.play_history import RunOnce
from m3sync_dagster_tests.cli.kill_points import Runner
from m3sync_dagster_tests.live.conftest import until
from m3sync_dagster_tests.model import command_processes
from m3sync_dagster_tests.model.command_processes import JOBS_ABOVE
from m3sync_dagster_tests.model.runs import Run


@contextmanager
def commands(folder: Path, disturbed: DisturbedWorld) -> Iterator[RunOnce]:
    """A function that makes a run in a process, while the block lasts."""
    environment = disturbed.world.environment | {JOBS_ABOVE: "2"}
    with closing(Runner(folder, environment, command_processes.__name__)) as runner:

        def run(*, full: bool = False, only: str | None = None) -> Run:
            assert only is None
            runner.start("run", "acme", "--json", *(["--full"] if full else []))
            status, said = runner.end()
            until(lambda: not is_locked(disturbed.world.connection, "acme"), "the lock of the run")
            return _run(status, said)

        yield run


def _run(status: int, said: str) -> Run:
    """What a process has come to; its output is JSON, maybe with messages before and after."""
    assert "Traceback" not in said, said
    if status < 0:
        return Run(killed=True)
    assert status in {0, 1}, said
    if (begin := said.find('{\n  "integration"')) < 0:
        assert status == 1, said
        return Run(errors=[said or "no output"])
    answer, _ = json.JSONDecoder().raw_decode(said[begin:])
    return Run(answer["entities"], [answer["error"]] if answer.get("error") else [])
