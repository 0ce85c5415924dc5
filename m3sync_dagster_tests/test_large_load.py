"""Tens of thousands of accounts through the installed program: by ingest jobs, bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder, sandbox_of

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


def load_and_load_again(
    number: int, postgres_url: str, defs_folder: DefsFolder
) -> tuple[int, dict[str, int]]:
    """Load accounts into an empty org, and run once more; give the peak and the second counts."""
    organization = Organization.generate(number)
    with sandbox_of(organization) as sandbox:
        environment = {**os.environ, **sandbox.environment, "M3SYNC_POSTGRES_URL": postgres_url}
        subprocess.run([M3SYNC, "migrate"], env=environment, check=True)
        first, peak = run_and_measure(environment)
        assert first["read"] == first["created"] == number
        assert len(sandbox.records("m3ter_Account__c")) == number
        assert sandbox.salesforce_calls() == first["salesforce_api_calls"]
        again, _ = run_and_measure(environment)
        assert again["unchanged"] == number
        assert sandbox.salesforce_calls() <= 1
    return peak, again


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(
    postgres_url: str, defs_folder: DefsFolder
) -> None:
    defs_folder.write("acme", INTEGRATION.split("    contract")[0])
    defs_folder.write("credentials", CREDENTIALS.replace("1000", "100000"))
    small, _ = load_and_load_again(10_000, postgres_url, defs_folder)
    with connect(postgres_url) as connection:
        connection.execute("TRUNCATE m3sync.synced_record, m3sync.ingest_job")
    large, _ = load_and_load_again(40_000, postgres_url, defs_folder)
    assert large - small <= GROWTH
    with connect(postgres_url) as connection:
        row = connection.execute(
            "SELECT sum(rows), bool_and(state = 'JobComplete') FROM m3sync.ingest_job"
        ).fetchone()
    # The rows of one shape that are few go by sObject Collections.
    assert row
    assert row[0] > 30_000
    assert row[1]
