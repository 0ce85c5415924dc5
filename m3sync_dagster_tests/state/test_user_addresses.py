from datetime import timedelta

import psycopg
import pytest

from m3sync_dagster.state.user_addresses import (
    REFRESH_AFTER,
    RETRY_AFTER,
    read_addresses,
    read_failed_lookups,
    stale_users,
    write_address,
    write_lookup_result,
)
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture

MINUTE = timedelta(minutes=1)


AGE_ADDRESSES = "UPDATE m3sync.user_address SET read_at = clock_timestamp() - %s"
AGE_FAILURES = "UPDATE m3sync.failed_address_lookup SET failed_at = clock_timestamp() - %s"


def test_an_address_is_the_last_that_m3ter_gave(connection: psycopg.Connection) -> None:
    write_address(connection, "one", "u1", "Ann", None)
    write_address(connection, "one", "u1", "Ann\0 B", "ann@example.com")
    write_address(connection, "one", "u2", "Ben", "ben@example.com")
    write_address(connection, "two", "u1", "Cal", "cal@example.com")
    found = read_addresses(connection, "one", ["u1", "u3"])
    assert {key: (one.id, one.email) for key, one in found.items()} == {
        "u1": ("u1", "ann@example.com")
    }
    assert found["u1"].name.startswith("Ann")
    assert found["u1"].name.endswith(" B")


def test_a_user_without_an_address_is_known(connection: psycopg.Connection) -> None:
    write_address(connection, "one", "u1", "", None)
    assert read_addresses(connection, "one", ["u1"])["u1"].email is None
    assert stale_users(connection, [("one", "u1")]) == {}


def test_failed_look_ups_are_kept_until_one_succeeds(connection: psycopg.Connection) -> None:
    write_lookup_result(connection, "two", "first")
    write_lookup_result(connection, "two", "second")
    write_lookup_result(connection, "one", "no\0 answer")
    found = [(one.credential, one.error) for one in read_failed_lookups(connection)]
    assert [credential for credential, _ in found] == ["one", "two"]
    assert found[1] == ("two", "second")
    write_lookup_result(connection, "two", None)
    assert [one.credential for one in read_failed_lookups(connection)] == ["one"]


def test_nobody_to_look_up(connection: psycopg.Connection) -> None:
    assert stale_users(connection, []) == {}


@pytest.mark.parametrize(
    ("address", "failure", "is_stale"),
    [
        (None, None, True),
        (REFRESH_AFTER - MINUTE, None, False),
        (REFRESH_AFTER + MINUTE, None, True),
        (None, RETRY_AFTER - MINUTE, False),
        (None, RETRY_AFTER + MINUTE, True),
        (REFRESH_AFTER + MINUTE, RETRY_AFTER - MINUTE, False),
    ],
)
def test_which_addresses_are_looked_up_again(
    connection: psycopg.Connection,
    address: timedelta | None,
    failure: timedelta | None,
    is_stale: bool,
) -> None:
    wanted = [("one", "u2"), ("one", "u1"), ("one", "u2")]
    if address:
        for _, user in wanted:
            write_address(connection, "one", user, "Ann", None)
        connection.execute(AGE_ADDRESSES, (address,))
    if failure:
        write_lookup_result(connection, "one", "no answer")
        connection.execute(AGE_FAILURES, (failure,))
    assert stale_users(connection, wanted) == ({"one": ["u1", "u2"]} if is_stale else {})
