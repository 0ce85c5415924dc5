"""Pauses between the attempts to send a rejected row."""

import psycopg
import pytest

from m3sync_dagster.state import list_rejects, retry_rejects
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.row_results import (
    ErrorClass,
)
from m3sync_dagster_tests.sync.conftest import Listed, Org, Sync, account


def let_time_pass(connection: psycopg.Connection, hours: float) -> None:
    """Makes all pauses begin so much earlier."""
    connection.execute(
        "UPDATE m3sync.rejected_record SET retry_at = retry_at - make_interval(secs => %s)",
        [hours * 3_600],
    )


def test_a_permanently_rejected_row_is_sent_again_twice_and_then_after_longer_pauses(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    records = [account("a"), account("b")]
    sent_at = []
    for hour in range(100):
        del org.sent[:]
        assert sync(Listed(records), org)["rejected"] == 1
        if ["b"] in org.sent or ["a", "b"] in [sorted(rows) for rows in org.sent]:
            sent_at.append(hour)
        (reject,) = list_rejects(connection)
        assert reject.attempts == len(sent_at)
        let_time_pass(connection, 1)
    assert sent_at == [0, 1, 2, 4, 8, 16, 32, 56, 80]


def test_a_paused_row_is_sent_at_once_when_its_content_or_mapping_changes(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    assert len(org.sent) == 3
    sync(Listed([account("b", code="new")]), org)
    assert len(org.sent) == 4
    assert list_rejects(connection)[0].attempts == 1
    for _ in range(3):
        sync(Listed([account("b", code="new")]), org)
    assert len(org.sent) == 6
    sync(Listed([account("b", code="new")]), org, EntityOptions(fields={"currency": None}))
    assert len(org.sent) == 7


def test_a_paused_row_is_sent_at_once_on_request(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    records = Listed([account("b")])
    for _ in range(4):
        sync(records, org)
    assert retry_rejects(connection, "another") == 0
    assert sync(records, org) == {"read": 1, "rejected": 1}
    assert len(org.sent) == 3
    assert retry_rejects(connection, "acme") == 1
    org.refuse.clear()
    assert sync(records, org) == {"read": 1, "created": 1}
    assert list_rejects(connection) == []


def test_a_paused_row_is_sent_by_a_full_run(sync: Sync) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    sync(Listed([account("b")]), org, full=True)
    assert len(org.sent) == 4


@pytest.mark.parametrize(
    "kind", [ErrorClass.TRANSIENT, ErrorClass.COLLATERAL, ErrorClass.CONFIGURATION]
)
def test_a_row_with_a_temporary_rejection_is_sent_by_every_run(
    sync: Sync, kind: ErrorClass
) -> None:
    org = Org()
    org.refuse["b"] = (kind, "WHATEVER")
    for runs in range(1, 9):
        sync(Listed([account("b")]), org)
        assert len(org.sent) == runs


def test_a_paused_reject_is_deleted_with_its_record(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    assert sync(Listed([account("a")]), org) == {"read": 1, "created": 1}
    assert list_rejects(connection) == []
