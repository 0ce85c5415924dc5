"""The last login with each credential."""

import psycopg

from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.state import Login, PostgresLoginLog, read_logins
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture

URL = "https://acme.example"


def test_a_login_is_known_until_a_later_one(
    connection: psycopg.Connection, kept_connection: KeptConnection
) -> None:
    assert read_logins(connection) == {}
    log = PostgresLoginLog(kept_connection, "salesforce", "digest-1")
    PostgresLoginLog(kept_connection, "m3ter", "digest-m").succeeded("org", None)
    log.succeeded("00D", URL)
    logins = read_logins(connection)
    first, m3ter = logins.pop("salesforce"), logins.pop("m3ter")
    assert logins == {}
    assert m3ter.succeeded_at
    assert m3ter == Login("m3ter", "digest-m", m3ter.succeeded_at, "org", None, None, None)
    assert first.succeeded_at
    assert first == Login("salesforce", "digest-1", first.succeeded_at, "00D", URL, None, None)

    log.failed(RemoteError("no \ud800 answer", "Wait."))
    failed = read_logins(connection)["salesforce"]
    assert failed.failed_at
    assert failed == Login(
        "salesforce",
        "digest-1",
        first.succeeded_at,
        "00D",
        URL,
        failed.failed_at,
        "no ? answer",
    )
    log.succeeded("00D", URL)
    again = read_logins(connection)["salesforce"]
    assert again.succeeded_at
    assert again.succeeded_at > first.succeeded_at
    assert (again.failed_at, again.error) == (None, None)

    PostgresLoginLog(kept_connection, "salesforce", "digest-2").failed(RemoteError("no", "Wait."))
    other = read_logins(connection)["salesforce"]
    assert other == Login("salesforce", "digest-2", None, None, None, other.failed_at, "no")
    assert read_logins(connection)["m3ter"] == m3ter
