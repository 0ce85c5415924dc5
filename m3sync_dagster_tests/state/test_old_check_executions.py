"""Which check executions a purge deletes, in Dagster's real storage."""

import time
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest

from m3sync_dagster.state import (
    DeletedExecutions,
    connect,
    delete_old_check_executions,
    old_check_executions,
    postgres_url,
)

KEY = dg.AssetKey(["acme", "salesforce_account"])
OTHER = dg.AssetKey(["acme", "salesforce_balance"])
FOREVER = float("inf")

Execution = tuple[dg.AssetKey, str, bool, float]
"""The asset and the check, whether it passed, and how many days ago."""


@pytest.fixture
def connection(instance: dg.DagsterInstance) -> Iterator[psycopg.Connection]:
    with connect(postgres_url()) as connection:
        yield connection


def evaluate(
    instance: dg.DagsterInstance, connection: psycopg.Connection, *executions: Execution
) -> list[int]:
    """Record executions as Dagster does, and give the ids of their rows."""
    ids = []
    for key, check, passed, days in executions:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=key, check_name=check, passed=passed)
        )
        row = connection.execute(
            "UPDATE asset_check_executions "
            "SET create_timestamp = create_timestamp - make_interval(secs => %s) "
            "WHERE id = (SELECT max(id) FROM asset_check_executions) RETURNING id",
            (days * 86_400,),
        ).fetchone()
        assert row
        ids.append(row[0])
    return ids


def kept(connection: psycopg.Connection, ids: list[int]) -> list[int]:
    """The places of the executions that are still there."""
    there = {row[0] for row in connection.execute("SELECT id FROM asset_check_executions")}
    return [place for place, row_id in enumerate(ids) if row_id in there]


CASES: list[tuple[str, list[Execution], list[int]]] = [
    ("none", [], []),
    ("the only one", [(KEY, "c", True, 400)], [0]),
    ("old ones", [(KEY, "c", True, days) for days in (60, 31, 29, 0)], [2, 3]),
    ("the newest", [(KEY, "c", True, days) for days in (60, 50, 40)], [2]),
    (
        "the newest of each status",
        [(KEY, "c", passed, 40) for passed in (True, False, True, False, True)],
        [3, 4],
    ),
    (
        "the newest of each check",
        [(KEY, "c", True, 40), (KEY, "d", True, 40), (KEY, "c", True, 40)],
        [1, 2],
    ),
    (
        "the newest of each asset",
        [(KEY, "c", True, 40), (OTHER, "c", True, 40), (KEY, "c", True, 0)],
        [1, 2],
    ),
]
"""What is tried, the executions, and the places of those that are kept."""


@pytest.mark.parametrize("page", [1, 2, 1_000])
def test_which_executions_are_kept(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    page: int,
) -> None:
    monkeypatch.setattr(old_check_executions, "PAGE", page)
    for case, executions, expected in CASES:
        connection.execute("DELETE FROM asset_check_executions")
        ids = evaluate(instance, connection, *executions)
        dry = delete_old_check_executions(connection, 30, FOREVER, dry_run=True)
        assert kept(connection, ids) == list(range(len(ids))), case
        done = delete_old_check_executions(connection, 30, FOREVER)
        assert done == DeletedExecutions(len(ids) - len(expected), finished=True) == dry, case
        assert kept(connection, ids) == expected, case


def test_what_is_left_when_the_time_is_over_is_deleted_by_the_next_purge(
    instance: dg.DagsterInstance, connection: psycopg.Connection
) -> None:
    ids = evaluate(instance, connection, *[(KEY, "c", True, 40.0)] * 3)
    now = time.monotonic()
    assert delete_old_check_executions(connection, 30, now) == DeletedExecutions(0, finished=False)
    assert kept(connection, ids) == [0, 1, 2]
    assert delete_old_check_executions(connection, 30, FOREVER).rows == 2


def test_the_last_result_is_the_same_before_and_after(
    instance: dg.DagsterInstance, connection: psycopg.Connection
) -> None:
    key = dg.AssetCheckKey(KEY, "c")
    evaluate(instance, connection, *[(KEY, "c", passed, 40) for passed in (True, False)])
    history = instance.event_log_storage.get_asset_check_execution_history
    before = history(key, limit=1)
    delete_old_check_executions(connection, 30, FOREVER)
    assert history(key, limit=1) == before
    assert before[0].status.value == "FAILED"
