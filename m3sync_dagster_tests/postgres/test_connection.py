import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import trustme
from sqlalchemy.engine import make_url

from m3sync_dagster.m3ter import M3terAccessKey
from m3sync_dagster.m3ter.shared_rate_limiter import open_permits
from m3sync_dagster.postgres import Connection, connect
from m3sync_dagster.state import IntegrationLock, is_locked, migrate, require_current_schema
from m3sync_dagster.sync.errors import ConfigurationError, IntegrationLockedError, RemoteError
from m3sync_dagster_tests.conftest import dagster_instance
from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.postgres.own_server import OwnServer, needs_pgbouncer, pgbouncer

pytestmark = pytest.mark.slow

UNEXPECTED = "Asia/Tokyo"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in another time zone, which asks PostgreSQL for that one too."""
    monkeypatch.setenv("TZ", UNEXPECTED)
    monkeypatch.setenv("PGTZ", UNEXPECTED)
    time.tzset()


def shown(connection: psycopg.Connection, setting: str) -> str:
    (value,) = connection.execute(f"SHOW {setting}").fetchone() or ("",)
    return str(value)


def test_sessions_speak_utc_and_utf8_and_notice_a_lost_client(
    server: OwnServer, elsewhere: None
) -> None:
    with connect(server.url) as connection:
        assert shown(connection, "TimeZone") == "UTC"
        assert shown(connection, "client_encoding") == "UTF8"
        # After half a minute of silence, three questions 10 seconds apart; then the lock is free.
        assert shown(connection, "tcp_keepalives_idle") == "30"
        assert shown(connection, "tcp_keepalives_interval") == "10"
        assert shown(connection, "tcp_keepalives_count") == "3"
        assert shown(connection, "tcp_user_timeout") == "60000"
        assert connection.autocommit


def test_dagsters_storage_speaks_utc_too(
    server: OwnServer, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", server.url)
    with dagster_instance(tmp_path) as instance, instance.run_storage.connect() as storage:  # type: ignore[attr-defined]
        assert storage.exec_driver_sql("SHOW TimeZone").scalar() == "UTC"
        assert storage.exec_driver_sql("SHOW client_encoding").scalar() == "UTF8"


def test_a_lock_survives_the_servers_timeout_of_idle_sessions(server: OwnServer) -> None:
    with connect(server.url) as admin:
        admin.execute("ALTER SYSTEM SET idle_session_timeout = '1s'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            with connect(server.url) as holder, IntegrationLock(holder, "acme"):
                idle = psycopg.connect(server.url, autocommit=True)
                ended = "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)"
                while admin.execute(ended, [idle.info.backend_pid]).fetchone() == (False,):
                    pass
                idle.close()
                assert is_locked(admin, "acme")
        finally:
            admin.execute("ALTER SYSTEM RESET idle_session_timeout")
            admin.execute("SELECT pg_reload_conf()")


def test_an_ipv6_address_is_accepted(server: OwnServer) -> None:
    url = server.url.replace("127.0.0.1", "[::1]")
    migrate(url)
    with connect(url) as connection:
        assert connection.execute("SELECT host(inet_client_addr())").fetchone() == ("::1",)
        require_current_schema(connection)


@needs_pgbouncer
def test_a_server_is_held_to_its_certificate(server: OwnServer, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:  # pgbouncer's user reads it
        right, wrong = trustme.CA(), trustme.CA()
        right.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/pem")
        right.cert_pem.write_to_path(str(tmp_path / "right"))
        wrong.cert_pem.write_to_path(str(tmp_path / "wrong"))
        for path in (Path(folder), Path(folder, "pem")):
            path.chmod(0o755)
        pem = {f"client_tls_{kind}_file": f"{folder}/pem" for kind in ("key", "cert")}
        with pgbouncer(server.url, "session", client_tls_sslmode="require", **pem) as plain:
            url = f"{plain}?sslmode=verify-full&sslrootcert={tmp_path}"
            with connect(f"{url}/right") as connection:
                assert connection.pgconn.ssl_in_use
            migrate(f"{url}/right")
            with pytest.raises(RemoteError, match="no encrypted connection"):
                connect(f"{url}/wrong")
    with pytest.raises(RemoteError, match="no encrypted connection"):
        connect(f"{server.url}?sslmode=require")


def test_of_several_hosts_the_one_that_answers_is_used(server: OwnServer) -> None:
    url = f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{server.port}/postgres"
    with connect(url) as connection:
        assert connection.info.port == server.port


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(
    server: OwnServer, encoding: str
) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE narrow ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        url = make_url(server.url).set(database="narrow").render_as_string()
        for attempt in (connect, migrate):
            with pytest.raises(ConfigurationError, match=rf"{encoding}.*ENCODING 'UTF8'"):
                attempt(url)
    finally:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("DROP DATABASE narrow")


OPERATIONS: dict[str, Callable[[Connection], object]] = {
    "execute": lambda it: it.execute("SELECT nothing"),
    "executemany": lambda it: it.cursor().executemany("SELECT nothing, %s", [[1]]),
    "stream": lambda it: list(it.cursor().stream("SELECT nothing")),
    "named cursor": lambda it: _with_named_cursor(it, "SELECT nothing"),
    "copy": lambda it: it.cursor().copy("COPY nothing FROM STDIN").__enter__(),
    "transaction": lambda it: _in_transaction(it, "SELECT nothing"),
}


def _with_named_cursor(connection: Connection, query: str) -> None:
    with connection.cursor("one", withhold=True) as cursor:
        cursor.execute(query)


def _in_transaction(connection: Connection, query: str) -> None:
    with connection.transaction():
        connection.execute(query)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_failure_is_explained(server: OwnServer, operation: str) -> None:
    with connect(server.url) as connection:
        with pytest.raises(RemoteError, match="Run: m3sync migrate") as caught:
            OPERATIONS[operation](connection)
        assert caught.value.__cause__ is None
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("operation", [*OPERATIONS, "closed"])
def test_a_lost_connection_is_explained(server: OwnServer, operation: str) -> None:
    connection = connect(server.url)
    if operation == "closed":
        connection.close()
    else:
        with psycopg.connect(server.url) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    with closing(connection):
        with pytest.raises(RemoteError, match="connection"):
            OPERATIONS.get(operation, OPERATIONS["execute"])(connection)
        # Whoever frees a lock on the way out meets the broken connection once more.
        with pytest.raises(RemoteError, match="was lost"):
            connection.execute("SELECT 1")


def test_a_failed_commit_is_explained(server: OwnServer) -> None:
    with connect(server.url) as connection:
        connection.execute("CREATE TEMP TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(RemoteError, match="refused a statement"), connection.transaction():
            connection.execute("INSERT INTO once VALUES (1), (1)")


@needs_pgbouncer
def test_a_pool_in_session_mode_is_accepted(
    server: OwnServer, elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_database(server.url) as database, pgbouncer(database, "session") as url:
        migrate(url)
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
        with dagster_instance(tmp_path) as instance:
            assert instance.get_runs_count() == 0
        with connect(url) as one, connect(url) as other:
            assert shown(one, "TimeZone") == "UTC"
            with IntegrationLock(one, "acme"), pytest.raises(IntegrationLockedError):
                IntegrationLock(other, "acme").__enter__()
        key = M3terAccessKey("organization", "key", "secret", "https://api.m3ter.com", 100)
        with closing(open_permits(key, url)) as permits:
            permits.take()


@needs_pgbouncer
def test_a_client_of_a_pool_that_dies_frees_its_lock(server: OwnServer) -> None:
    with pgbouncer(server.url, "session") as url, connect(url) as watcher:
        holder = connect(url)
        IntegrationLock(holder, "acme").__enter__()
        assert is_locked(watcher, "acme")
        holder.close()
        end = time.monotonic() + 30
        while is_locked(watcher, "acme"):
            assert time.monotonic() < end


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("busy", [0, 4])
def test_a_pool_that_shares_a_session_is_refused(server: OwnServer, mode: str, busy: int) -> None:
    # Where other clients have come before, each transaction may get another server connection.
    with pgbouncer(server.url, mode, server_round_robin=1) as url:
        others = [psycopg.connect(url, autocommit=mode == "statement") for _ in range(busy)]
        for other in others:
            other.execute("SELECT 1")
        for other in others:
            other.commit()
        attempts = (connect,) if busy else (connect, migrate)
        for attempt in attempts:
            with pytest.raises(ConfigurationError, match=r"transaction pooling.*session mode"):
                attempt(url)
        for other in others:
            other.close()
    with psycopg.connect(server.url) as admin:
        left = admin.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert left.fetchone() == (0,)


@needs_pgbouncer
def test_options_that_a_pool_does_not_accept_are_explained(server: OwnServer) -> None:
    with (
        pgbouncer(server.url, "session") as url,
        pytest.raises(ConfigurationError, match="Leave options out of M3SYNC_POSTGRES_URL"),
    ):
        connect(f"{url}?options=-c%20statement_timeout%3D5000")


def test_a_restarted_server_is_used_again(server: OwnServer) -> None:
    with connect(server.url) as connection:
        server.stop()
        with pytest.raises(RemoteError, match="Start it"):
            connect(server.url)
        server.start()
        with pytest.raises(RemoteError, match="PostgreSQL has ended the connection"):
            connection.execute("SELECT 1")
    with connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
