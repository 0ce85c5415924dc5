"""The outbox: which notices are written, tried, withdrawn, and shown as undelivered."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from m3sync_dagster.state import Notice, Undelivered, enqueue, undelivered, withdraw_overtaken
from m3sync_dagster.state.outbox import (
    ATTEMPTS_IN_A_ROW,
    KEPT_FOR_REMOVED,
    delivered,
    due_notices,
    handed_over,
    not_delivered,
    put_into_digest,
    sent_lately,
    withdraw,
    withdraw_removed,
)
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def add(connection: psycopg.Connection, *changes: str, **given: str) -> None:
    """Write a notice of each change to one receiver."""
    target = given.get("target", "user:u1")
    content = {"kind": given.get("kind", "disabled"), "amount": 1.5}
    for change in changes:
        enqueue(connection, given.get("integration", "acme"), change, [target], content)


def due(connection: psycopg.Connection) -> list[str]:
    return [notice.change for notice in due_notices(connection)]


def age(connection: psycopg.Connection, column: str, by: timedelta) -> None:
    connection.execute(f"UPDATE m3sync.notice SET {column} = {column} - %s", (by,))  # noqa: S608 - constants


def test_each_receiver_of_a_change_has_one_notice(connection: psycopg.Connection) -> None:
    content = {"kind": "disabled", "failures": 10}
    for targets in (["user:u1", "dagster"], ["dagster", "user:u2"]):
        enqueue(connection, "acme", "run-1", iter(targets), content)
    enqueue(connection, "other", "run-2", [], content)
    found = due_notices(connection)
    assert found == [
        Notice(one.id, "run-1", target, "acme", content, None, one.created_at)
        for one, target in zip(found, ("user:u1", "dagster", "user:u2"), strict=True)
    ]


@pytest.mark.parametrize(
    ("about_rejects", "left"),
    [
        (False, {"rejects", "dagster", "other", "sent"}),
        (True, {"state", "dagster", "other", "sent"}),
    ],
)
def test_a_change_of_state_withdraws_the_notices_that_it_overtakes(
    connection: psycopg.Connection, about_rejects: bool, left: set[str]
) -> None:
    for kind in ("disabled", "rejects_waiting"):
        about = kind.startswith("rejects")
        add(connection, "rejects" if about else "state", kind=kind)
        if about is about_rejects:
            add(connection, "dagster", kind=kind, target="dagster")
            add(connection, "other", kind=kind, integration="other")
            add(connection, "sent", kind=kind)
    handed_over(connection, [one for one in due_notices(connection) if one.change == "sent"])
    if about_rejects:
        withdraw_overtaken(connection, "acme", about_rejects=True)
    else:
        withdraw_overtaken(connection, "acme")
    found = connection.execute("SELECT change FROM m3sync.notice").fetchall()
    assert {change for (change,) in found} == left


def test_a_notice_is_tried_at_each_tick_and_after_twenty_attempts_once_an_hour(
    connection: psycopg.Connection,
) -> None:
    add(connection, "first", "second", "third")
    first, second, third = due_notices(connection)
    not_delivered(connection, [first], "451 later")
    assert due(connection) == ["second", "third", "first"]
    for _ in range(ATTEMPTS_IN_A_ROW - 1):
        not_delivered(connection, [second], "451 later")
    assert due(connection) == ["third", "first", "second"]
    not_delivered(connection, [second], "452 later")
    assert due(connection) == ["third", "first"]
    age(connection, "attempted_at", HOUR - MINUTE)
    assert due(connection) == ["third", "first"]
    age(connection, "attempted_at", 2 * MINUTE)
    assert due(connection) == ["third", "first", "second"]
    withdraw(connection, iter([third, first]))
    assert due(connection) == ["second"]
    assert undelivered(connection) == [
        Undelivered("acme", "second", "user:u1", ATTEMPTS_IN_A_ROW, "452 later")
    ]


def test_the_notices_of_a_message_are_known_before_it_is_sent(
    connection: psycopg.Connection,
) -> None:
    add(connection, "first", "second", "third")
    first, second, third = due_notices(connection)
    put_into_digest(connection, iter([first, second]), "digest-1")
    assert due_notices(connection) == [
        replace(first, digest="digest-1"),
        replace(second, digest="digest-1"),
        third,
    ]


def test_what_was_handed_over_is_not_sent_again(connection: psycopg.Connection) -> None:
    add(connection, "first", "second", "third")
    first, second, third = due_notices(connection)
    not_delivered(connection, [first], "451 later")
    handed_over(connection, [first, second])
    assert due(connection) == ["third"]
    assert {one.change for one in sent_lately(connection, HOUR)} == {"first", "second"}
    handed = "handed over, but we ended before the answer came"
    assert undelivered(connection) == [
        Undelivered("acme", "first", "user:u1", 1, handed),
        Undelivered("acme", "second", "user:u1", 0, handed),
    ]
    delivered(connection, [first, third])
    assert undelivered(connection) == [Undelivered("acme", "second", "user:u1", 0, handed)]
    # The receiver has refused it after all.
    not_delivered(connection, [second], "550 nobody")
    assert due_notices(connection) == [second]
    age(connection, "handed_over_at", HOUR - MINUTE)
    assert {one.change for one in sent_lately(connection, HOUR)} == {"first", "third"}
    age(connection, "handed_over_at", 2 * MINUTE)
    assert sent_lately(connection, HOUR) == []
    query = "SELECT attempts, error, confirmed_at IS NULL FROM m3sync.notice ORDER BY id"
    assert connection.execute(query).fetchall() == [
        (2, None, False),
        (1, "550 nobody", True),
        (1, None, False),
    ]


def test_a_notice_waits_for_a_week_for_an_integration_that_is_not_loaded(
    connection: psycopg.Connection,
) -> None:
    add(connection, "loaded")
    add(connection, "gone", integration="gone")
    age(connection, "created_at", KEPT_FOR_REMOVED - MINUTE)
    withdraw_removed(connection, iter(["acme"]))
    assert due(connection) == ["loaded", "gone"]
    age(connection, "created_at", 2 * MINUTE)
    withdraw_removed(connection, iter(["acme"]))
    assert due(connection) == ["loaded"]
    why = "withdrawn: the integration is no longer loaded"
    gone = Undelivered("gone", "gone", "user:u1", 0, why)
    assert undelivered(connection) == [gone]
    assert str(gone) == (
        "gone: user:u1 has not been notified of gone (0 attempts): "
        "withdrawn: the integration is no longer loaded"
    )
    age(connection, "withdrawn_at", timedelta(days=7) + MINUTE)
    assert undelivered(connection) == []
