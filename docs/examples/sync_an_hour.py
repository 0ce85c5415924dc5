"""Launch an integration's sync of one hour by Dagster's API, and wait until it ends.

Run: ``python sync_an_hour.py HOST:PORT INTEGRATION HOUR``, with the hour as 2026-11-23-11:00, UTC.
Exit code 0: the run succeeded; 1: it did not.
"""

import sys
import time

from dagster import DagsterRunStatus
from dagster_graphql import DagsterGraphQLClient

ENTITIES = ("account", "contract", "commitment", "balance")
ENDED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}


def main(server: str, integration: str, hour: str) -> int:
    """Launch the run, wait until it ends, and return the exit code."""
    host, _, port = server.partition(":")
    client = DagsterGraphQLClient(host, port_number=int(port))
    run_id = client.submit_job_execution(
        "salesforce_sync",
        repository_location_name="m3sync",
        repository_name="__repository__",
        tags={"dagster/partition": hour},
        asset_selection=[[integration, f"salesforce_{entity}"] for entity in ENTITIES],
    )
    print(f"Run {run_id} is launched.")
    while (status := client.get_run_status(run_id)) not in ENDED:
        time.sleep(1)
    print(f"Run {run_id} has ended: {status.value}")
    return 0 if status is DagsterRunStatus.SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
