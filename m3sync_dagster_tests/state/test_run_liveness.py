import psycopg
import pytest

from m3sync_dagster.state import connect, hold_run_lock, is_run_locked


def test_a_run_is_alive_as_long_as_it_holds_its_lock(postgres_url: str) -> None:
    with connect(postgres_url) as own, connect(postgres_url) as other:
        with hold_run_lock(own, "run-1"):
            assert [is_run_locked(other, one) for one in ("run-1", "run-2")] == [True, False]
        assert not is_run_locked(other, "run-1")


def test_a_run_that_fails_or_whose_connection_ends_is_not_alive(postgres_url: str) -> None:
    with connect(postgres_url) as own, connect(postgres_url) as other:
        with pytest.raises(ValueError, match="the run failed"), hold_run_lock(own, "run-1"):
            raise ValueError("the run failed")
        assert not is_run_locked(other, "run-1")
        with hold_run_lock(own, "run-1"):
            end_session(other, own)
            with pytest.raises(Exception, match="PostgreSQL"):
                own.execute("SELECT 1")
            assert own.broken
        assert not is_run_locked(other, "run-1")


@pytest.mark.parametrize("run_id", ["", "run-2", "5f0c1b9e-7f0a-4f0c-8b0e-1d2c3b4a5f60", "ü"])
def test_any_run_id_has_a_lock(postgres_url: str, run_id: str) -> None:
    with (
        connect(postgres_url) as own,
        connect(postgres_url) as other,
        hold_run_lock(own, run_id),
    ):
        assert is_run_locked(other, run_id)


def end_session(other: psycopg.Connection, ended: psycopg.Connection) -> None:
    """End a session, and wait until the server has done so."""
    pid = ended.info.backend_pid
    other.execute("SELECT pg_terminate_backend(%s, 120000)", (pid,))
