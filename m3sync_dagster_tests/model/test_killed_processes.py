"""Runs in processes of their own that are killed, in the midst of what else happens."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache

import pytest

from m3sync_dagster.state import is_locked
from m3sync_dagster_tests.cli.kill_points import Runner, Step
from m3sync_dagster_tests.cli.test_killed_runs import eventually
from m3sync_dagster_tests.model import command_processes
from m3sync_dagster_tests.model.command_processes import JOBS_ABOVE
from m3sync_dagster_tests.model.machine import load
from m3sync_dagster_tests.model.runs import Run
from m3sync_dagster_tests.model.scenario import Scenario
from m3sync_dagster_tests.model.world import World

pytestmark = pytest.mark.slow

JOB = "/jobs/ingest/750[^/]+$"
COLLECTIONS = "/composite/"
STEPS = {
    "before the login": (2_000, Step("POST", "/oauth2/token", "before")),
    "before the first rows": (2_000, Step("PATCH", COLLECTIONS, "before")),
    "after the first rows": (2_000, Step("PATCH", COLLECTIONS, "after")),
    "after the second rows": (2_000, Step("PATCH", COLLECTIONS, "after", skip=1)),
    "before a job": (0, Step("POST", "/jobs/ingest$", "before")),
    "after a job was created": (0, Step("POST", "/jobs/ingest$", "after")),
    "after an upload": (0, Step("PUT", "/batches$", "after")),
    "after a job was closed": (0, Step("PATCH", JOB, "after")),
    "while a job goes on": (0, Step("GET", JOB, "after")),
    "between two results": (0, Step("GET", "/failedResults", "before")),
}
"""Steps at which a process is killed, and the rows above which ingest jobs are used."""


def killed_run(scenario: Scenario, process: Runner, step: Step) -> None:
    """Make a run in a process that dies at a step."""
    killer = scenario.org.killer
    killer.arm(step)
    killer.pid = process.start("run", "acme", "--json")
    status, said = process.end()
    killer.arm(None)
    assert status == -signal.SIGKILL, said
    scenario.note(Run(killed=True))
    eventually(lambda: not is_locked(scenario.world.connection, "acme"))


@pytest.fixture(scope="module")
def processes(
    the_world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Runner]]:
    """What starts a process, by the rows above which it uses ingest jobs."""
    with ExitStack() as stack:

        @cache
        def starting(above: int) -> Runner:
            environment = the_world.environment | {JOBS_ABOVE: str(above)}
            folder = tmp_path_factory.mktemp("process")
            runner = Runner(folder, environment, command_processes.__name__)
            return stack.enter_context(closing(runner))

        yield starting


@pytest.mark.parametrize("name", STEPS)
def test_changes_that_are_taken_back_after_the_death_of_a_run(
    scenario: Scenario, processes: Callable[[int], Runner], name: str
) -> None:
    above, step = STEPS[name]
    load(scenario)
    scenario.put("account", 1, name="changed")
    scenario.put("account", 3, name="new", parentAccountId="a2")
    scenario.put("balance", 1, accountId="a2", contractId="c1", name="changed")
    killed_run(scenario, processes(above), step)
    scenario.world.send_by_jobs(above)
    scenario.revert("account", 1)
    scenario.revert("balance", 1)
    scenario.drop("account", 3)
    scenario.quiet()
