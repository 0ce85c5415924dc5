"""What a run of four entity types takes: so many requests, SQL statements and events at most.

An integration runs every hour, so what one run takes more is multiplied by the integrations and
the hours. The purge limits for how long the events are kept; ``benchmarks/growth.py`` measures the
disk.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import dagster as dg
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster_tests.conftest import DefsFolder, Sandbox, sandbox_of, sync
from m3sync_dagster_tests.runs.old_run_fixtures import count
from m3sync_dagster_tests.sql_statements import counted_statements

ENTITIES = ("account", "contract", "commitment", "balance")
LISTS = ("accounts", "contracts", "commitments", "balances")
RECORDS = 300
DEARER = (
    "The run '{}' takes more than it should: {}. If this is wanted, change the figure in this "
    "file, and in docs/operating.md where it says what a run takes."
)


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Args:
        salesforce_calls: requests to Salesforce, with the login.
        m3ter_calls: requests to m3ter, with the login; a page has 100 records.
        statements: SQL statements of m3sync; see ``Statements``.
        dagster_statements: SQL statements of Dagster's storage.
        connections: connections of m3sync to PostgreSQL.
        events: rows of Dagster's event log: 10 for each entity type and 7 for the run; 2 of each
            entity type are ours, a log line and an observation.
        event_kilobytes: their size. It is 93 and a little more with longer paths; 38 are the
            materializations, with columns. The sample of written rows adds 5 for an entity type at
            most.
        check_executions: rows of Dagster's table of check results.
        tags: rows of Dagster's table of run tags.
    """

    salesforce_calls: int
    m3ter_calls: int
    statements: int
    dagster_statements: int
    connections: int
    events: int = 47
    event_kilobytes: int = 108
    check_executions: int = 8
    tags: int = 6


CHANGED = "1 % changed"
COSTS = {
    "first load of 1,200 records": Cost(
        salesforce_calls=15,
        m3ter_calls=13,
        statements=237,
        dagster_statements=211,
        connections=5,
        event_kilobytes=128,
    ),
    "nothing changed": Cost(
        salesforce_calls=1,
        m3ter_calls=13,
        statements=89,
        dagster_statements=205,
        connections=5,
    ),
    CHANGED: Cost(
        salesforce_calls=9,
        m3ter_calls=13,
        statements=165,
        dagster_statements=205,
        connections=5,
        event_kilobytes=128,
    ),
}
"""The most that each run may take, in this order; the 1,200 records are 3 pages of each type."""


@pytest.fixture
def organization() -> Organization:
    return Organization.generate(RECORDS, contracts=RECORDS, commitments=RECORDS, balances=RECORDS)


@pytest.fixture
def sandbox(organization: Organization) -> Iterator[Sandbox]:
    with sandbox_of(organization) as running:
        yield running


def test_what_a_run_takes(
    instance: dg.DagsterInstance,
    sandbox_in_environment: Sandbox,
    defs_folder: DefsFolder,
) -> None:
    dearer = []
    for hour, (name, most) in enumerate(COSTS.items(), 10):
        if name == CHANGED:
            for path in LISTS:
                sandbox_in_environment.organization.change_some(0.01, path)
        found = cost_of_a_run(instance, sandbox_in_environment, f"2026-11-24-{hour}:00")
        more = over(found, most)
        dearer += [DEARER.format(name, more)] if more else []
    assert not dearer, "\n".join(dearer)


def over(found: Cost, most: Cost) -> str:
    """What is more than the figures of this file, as text; empty if nothing is."""
    limits = asdict(most)
    return ", ".join(
        f"{number} {name} and not {limits[name]}"
        for name, number in asdict(found).items()
        if number > limits[name]
    )


def cost_of_a_run(instance: dg.DagsterInstance, sandbox: Sandbox, hour: str) -> Cost:
    sandbox.salesforce_calls()
    sandbox.m3ter.delete("/sandbox/calls")
    with counted_statements() as statements:
        result = sync(instance, *ENTITIES, partition_key=hour)
    assert result.success
    return Cost(
        salesforce_calls=sandbox.salesforce_calls(),
        m3ter_calls=len(sandbox.m3ter.get("/sandbox/calls").json()),
        statements=len(statements.ours),
        dagster_statements=len(statements.dagster),
        connections=statements.connections,
        events=count("event_logs", result.run_id),
        event_kilobytes=event_bytes(result.run_id) // 1000,
        check_executions=count("asset_check_executions", result.run_id),
        tags=count("run_tags", result.run_id),
    )


def event_bytes(run_id: str) -> int:
    with connect(postgres_url()) as connection:
        query = "SELECT sum(octet_length(event)) FROM event_logs WHERE run_id = %s"
        (number,) = connection.execute(query, (run_id,)).fetchone() or (0,)
        return int(number)
