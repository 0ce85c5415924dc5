from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import psycopg
import psycopg2
import pytest
from sqlalchemy import create_engine

from m3sync_dagster.postgres import connect, explain, parse
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError, SyncError

MEANINGS = {
    "25006": (RemoteError, "read-only", "primary"),
    "25P03": (RemoteError, "idle for too long", "idle_in_transaction_session_timeout"),
    "25P04": (RemoteError, "longer than its transaction_timeout", "transaction_timeout = 0"),
    "57P05": (RemoteError, "idle for too long", "idle_session_timeout = 0"),
    "57014": (RemoteError, "cancelled a statement", "statement_timeout = 0"),
    "55P03": (RemoteError, "did not get a lock in time", "pg_stat_activity"),
    "53100": (RemoteError, "disk of the database server is full", "Free disk space"),
    "53200": (RemoteError, "no memory left", "work_mem"),
    "53300": (RemoteError, "too many connections", "max_connections"),
    "53400": (RemoteError, "temp_file_limit", "Raise the limit"),
    "57P01": (RemoteError, "ended the connection", "database server runs"),
    "57P02": (RemoteError, "ended the connection", "database server runs"),
    "57P03": (RemoteError, "ended the connection", "database server runs"),
    "28P01": (RemoteError, "refuses the login", "pg_hba.conf"),
    "3D000": (RemoteError, "does not have this database", "CREATE DATABASE"),
    "42501": (ConfigurationError, "has no right", "grant"),
    "3F000": (ConfigurationError, "does not have the tables", "m3sync migrate"),
    "42P01": (RemoteError, "does not have the tables", "m3sync migrate"),
    "42703": (RemoteError, "does not have the tables", "m3sync migrate"),
    "22P05": (ConfigurationError, "encoding is not UTF8", "ENCODING 'UTF8'"),
    "22021": (ConfigurationError, "encoding is not UTF8", "ENCODING 'UTF8'"),
    "26000": (ConfigurationError, "a proxy in front of PostgreSQL", "session mode"),
    "42P05": (ConfigurationError, "a proxy in front of PostgreSQL", "session mode"),
    "40001": (RemoteError, "conflicted with another", "next run"),
    "40P01": (RemoteError, "conflicted with another", "next run"),
    "08006": (RemoteError, "was lost", "can be reached"),
    "23505": (RemoteError, "refused a statement", "report this message"),
}
RAISE = "DO $$ BEGIN RAISE EXCEPTION 'the reason' USING ERRCODE = '{}'; END $$"


@pytest.mark.parametrize("state", MEANINGS)
def test_every_driver_error_is_explained(postgres_url: str, state: str) -> None:
    kind, cause, remedy = MEANINGS[state]
    with connect(postgres_url) as connection, pytest.raises(SyncError) as ours:
        connection.execute(RAISE.format(state))
    engine = create_engine(parse(postgres_url).sqlalchemy_url("postgresql+psycopg2"))
    with engine.connect() as dagsters, pytest.raises(Exception, match="the reason") as theirs:
        dagsters.exec_driver_sql(RAISE.format(state))
    engine.dispose()
    for error in (ours.value, explain(theirs.value)):
        assert isinstance(error, SyncError)
        assert type(error) is kind
        assert cause in error.cause
        assert "(the reason)" in error.cause
        assert remedy in error.remedy


def test_errors_of_anything_else_stay_what_they_are() -> None:
    assert explain(ValueError("x")) is None
    wrapped = RuntimeError("too many retries")
    wrapped.__cause__ = psycopg2.OperationalError("server closed the connection unexpectedly")
    assert "was lost" in str(explain(wrapped))


def test_a_read_only_database_is_explained(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET default_transaction_read_only = on")
    with connect(postgres_url) as connection, pytest.raises(RemoteError, match="read-only here"):
        connection.execute("DELETE FROM m3sync.outgoing_record")


def test_a_statement_that_takes_too_long_is_explained(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        connection.execute("SET statement_timeout = 50")
        with pytest.raises(RemoteError, match=r"statement_timeout.*statement timeout"):
            connection.execute("SELECT pg_sleep(60)")


@contextmanager
def refusing(message: str) -> Iterator[int]:
    """The port of a server that refuses every login with a message.

    Source: PostgreSQL documentation, "Message Formats", ErrorResponse.
    """
    fields = f"SFATAL\0VFATAL\0C28P01\0M{message}\0\0".encode()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_message_in_another_language_is_not_taken_for_an_unreachable_server() -> None:
    message = "Passwort-Authentifizierung für Benutzer »m3sync« fehlgeschlagen"
    with refusing(message) as port, pytest.raises(RemoteError) as refused:
        connect(f"postgresql://m3sync@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable")
    assert refused.value.cause.startswith("PostgreSQL refuses the connection (at 127.0.0.1")
    assert message in refused.value.cause


LOGINS = {
    "postgresql://nobody@/postgres": "refuses the login",
    "postgresql://limited@/postgres": "too many connections",
    "postgresql://postgres@/nothing": "does not have this database",
    "postgresql:///?service=nothing": "service that M3SYNC_POSTGRES_URL names is not defined",
    "postgresql://postgres@host.invalid/x": "cannot be reached",
    "postgresql://postgres@127.0.0.1:1/x": "cannot be reached",
}


@pytest.mark.parametrize("given", LOGINS)
def test_a_failed_login_is_explained(postgres_server: str, given: str) -> None:
    folder = parse(postgres_server).parameters["host"]
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS limited")
        admin.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 0")
    query = "" if "@/" not in given else f"?host={folder}"
    with pytest.raises(SyncError, match=LOGINS[given]) as refused:
        connect(given + query)
    assert refused.value.__cause__ is None
