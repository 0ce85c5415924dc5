"""Tens of thousands of accounts through the installed program: by ingest jobs, bounded memory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.databases import Databases

M3SYNC = Path(sys.executable).parent / "m3sync"
GROWTH = 16 * 2**20
"""Bytes by which the peak may grow from ten thousand records to forty thousand: 560 a record."""


def run_and_measure(environment: dict[str, str]) -> tuple[dict[str, int], int]:
    """Run the integration once; give the counts of its accounts, and the process's peak memory."""
    process = subprocess.Popen(
        [M3SYNC, "run", "acme", "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    peak, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
            process.wait(0.05)
        except (subprocess.TimeoutExpired, psutil.NoSuchProcess):
            continue
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return json.loads(output)["entities"]["account"], peak


@contextmanager
def loaded(number: int, database: str) -> Iterator[tuple[int, dict[str, str], Sandbox]]:
    """Load accounts into an empty org; give the peak, and the environment for another run."""
    with sandbox_of(Organization.generate(number)) as sandbox:
        environment = {**os.environ, **sandbox.environment, "M3SYNC_POSTGRES_URL": database}
        counts, peak = run_and_measure(environment)
        assert counts["read"] == counts["created"] == number
        assert len(sandbox.records("m3ter_Account__c")) == number
        assert sandbox.salesforce_calls() == counts["salesforce_api_calls"]
        yield peak, environment, sandbox


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(
    databases: Databases, dagster_template: str, defs_folder: DefsFolder
) -> None:
    defs_folder.write("acme", INTEGRATION.split("    contract")[0])
    defs_folder.write("credentials", CREDENTIALS.replace("1000", "100000"))
    with databases.copy(dagster_template) as url, loaded(10_000, url) as (small, _, _):
        pass
    with databases.copy(dagster_template) as url, loaded(40_000, url) as (large, again, sandbox):
        assert large - small <= GROWTH
        counts, _ = run_and_measure(again)
        assert counts["unchanged"] == 40_000
        assert sandbox.salesforce_calls() <= 1
        _ingest_jobs_were_used(url)


def _ingest_jobs_were_used(url: str) -> None:
    with connect(url) as connection:
        row = connection.execute(
            "SELECT sum(rows), bool_and(state = 'JobComplete') FROM m3sync.ingest_job"
        ).fetchone()
    # The rows of one shape that are few go by sObject Collections.
    assert row
    assert row[0] > 30_000
    assert row[1]
