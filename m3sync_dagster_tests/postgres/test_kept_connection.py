"""One connection for many short statements, opened again when it was lost."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.sync.errors import RemoteError

BACKEND = "SELECT pg_backend_pid()"


def backend(kept: KeptConnection) -> int:
    ((pid,),) = kept.execute(BACKEND, {})
    return int(pid)


def end_session(url: str, pid: int) -> None:
    with psycopg.connect(url) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def test_one_session_executes_all_statements(kept_connection: KeptConnection) -> None:
    first = backend(kept_connection)
    assert kept_connection.execute("SELECT %(a)s::int UNION SELECT 2", {"a": 1}) == [(1,), (2,)]
    assert kept_connection.execute("CREATE TABLE made_here ()", {}) == []
    assert backend(kept_connection) == first


def test_threads_share_a_session(kept_connection: KeptConnection) -> None:
    together = Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return backend(kept_connection)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1


def test_a_lost_session_is_replaced(kept_connection: KeptConnection, postgres_url: str) -> None:
    lost = backend(kept_connection)
    end_session(postgres_url, lost)
    new = backend(kept_connection)
    assert new != lost
    assert backend(kept_connection) == new


def test_a_statement_that_is_refused_is_not_sent_again(kept_connection: KeptConnection) -> None:
    first = backend(kept_connection)
    with pytest.raises(RemoteError, match="division by zero"):
        kept_connection.execute("SELECT 1 / 0", {})
    assert backend(kept_connection) == first


def test_a_statement_whose_session_ends_twice_fails(kept_connection: KeptConnection) -> None:
    backend(kept_connection)
    with pytest.raises(RemoteError):
        kept_connection.execute("SELECT pg_terminate_backend(pg_backend_pid())", {})


def test_a_closed_one_has_no_session_and_opens_another(
    kept_connection: KeptConnection, postgres_url: str
) -> None:
    kept_connection.close()
    closed = backend(kept_connection)
    kept_connection.close()
    with psycopg.connect(postgres_url) as admin:
        # Waits until it has ended.
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [closed])
        there = admin.execute("SELECT pid FROM pg_stat_activity WHERE pid = %s", [closed])
        assert there.fetchall() == []
    assert backend(kept_connection) != closed
