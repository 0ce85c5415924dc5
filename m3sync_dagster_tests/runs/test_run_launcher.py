"""Which runs have a process of their own, and how it is found again."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from m3sync_dagster.dagster_internals import WorkerStatus, make_new_run_id
from m3sync_dagster.runs.fork_server import title
from m3sync_dagster.runs.run_launcher import (
    PROCESS_ID_TAG,
    OneIntegrationRunLauncher,
    only_integration,
)

SYNCED, VERIFIED = {"m3sync/integration": "acme"}, {"m3sync/verified_integration": "acme"}
RUN_ID = make_new_run_id()


def keys(*integrations: str) -> frozenset[dg.AssetKey]:
    return frozenset(
        dg.AssetKey([integration, f"salesforce_{entity}"])
        for integration in integrations
        for entity in ("account", "contract")
    )


def checks(*integrations: str) -> frozenset[dg.AssetCheckKey]:
    return frozenset(dg.AssetCheckKey(key, "any") for key in keys(*integrations))


@pytest.mark.parametrize(
    ("tags", "assets", "asset_checks", "only"),
    [
        (SYNCED, keys("acme"), None, "acme"),
        (SYNCED, keys("acme"), checks("acme"), "acme"),
        (VERIFIED, frozenset(), checks("acme"), "acme"),
        (SYNCED, keys("acme", "globex"), None, None),
        (SYNCED, keys("globex"), None, None),
        (SYNCED, keys("acme"), checks("globex"), None),
        (SYNCED, None, None, None),
        ({}, keys("acme"), checks("acme"), "acme"),
        ({}, keys("acme", "globex"), None, None),
        ({}, frozenset({dg.AssetKey(["acme", "report"])}), None, None),
        (SYNCED, keys("acme") | {dg.AssetKey(["acme", "report"])}, None, None),
        ({}, frozenset({dg.AssetKey("salesforce_account")}), None, None),
        ({}, None, None, None),
    ],
)
def test_the_one_integration_of_a_run(
    tags: dict[str, str],
    assets: frozenset[dg.AssetKey] | None,
    asset_checks: frozenset[dg.AssetCheckKey] | None,
    only: str | None,
) -> None:
    run = dg.DagsterRun(
        "salesforce_sync", tags=tags, asset_selection=assets, asset_check_selection=asset_checks
    )
    assert only_integration(run) == only


@contextmanager
def process_of(run_id: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with the title of a run's process."""
    running = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", title("acme", run_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdout
    running.stdout.readline()
    yield running
    running.kill()
    running.communicate()


def health(process_id: str | None) -> WorkerStatus:
    tags = {PROCESS_ID_TAG: process_id} if process_id else {}
    run = dg.DagsterRun("salesforce_sync", run_id=RUN_ID, tags=tags)
    return OneIntegrationRunLauncher().check_run_worker_health(run).status


def test_a_process_that_has_ended_or_is_another_run_s_is_not_found() -> None:
    with process_of(RUN_ID) as ours, process_of(make_new_run_id()) as other:
        host = socket.gethostname()
        assert health(f"{host} {ours.pid}") is WorkerStatus.RUNNING
        assert health(f"{host} {other.pid}") is WorkerStatus.NOT_FOUND
        ours.kill()
        # It is left unreaped, as its parent leaves it for a moment.
        os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)
        assert health(f"{host} {ours.pid}") is WorkerStatus.NOT_FOUND
        ours.wait()
        assert health(f"{host} {ours.pid}") is WorkerStatus.NOT_FOUND


def test_a_process_that_cannot_be_seen_from_here_counts_as_alive() -> None:
    assert health("another-host 1") is WorkerStatus.RUNNING
    assert health(None) is WorkerStatus.RUNNING
