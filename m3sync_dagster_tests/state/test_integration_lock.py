import pytest

from m3sync_dagster.state import IntegrationLock, connect, is_locked
from m3sync_dagster.state.integration_lock import lock_until_commit
from m3sync_dagster.sync.errors import SyncError


def test_only_one_holds_it_and_everybody_sees_it(postgres_url: str) -> None:
    with connect(postgres_url) as one, connect(postgres_url) as two:
        with IntegrationLock(one, "acme"):
            assert is_locked(two, "acme")
            assert not is_locked(two, "other")
            with pytest.raises(SyncError, match="another run is writing the integration acme"):
                IntegrationLock(two, "acme").__enter__()
            with IntegrationLock(two, "other"):
                pass
        assert not is_locked(two, "acme")
        with IntegrationLock(two, "acme"):
            pass


def test_a_transaction_holds_it_until_it_is_committed(postgres_url: str) -> None:
    with connect(postgres_url) as one, connect(postgres_url) as two:
        with one.transaction():
            lock_until_commit(one, "acme")
            assert is_locked(two, "acme")
            assert not is_locked(two, "other")
            with pytest.raises(SyncError, match="another run is writing the integration acme"):
                lock_until_commit(two, "acme")
        assert not is_locked(two, "acme")


def test_a_holder_that_dies_frees_it(postgres_url: str) -> None:
    with connect(postgres_url) as watcher:
        holder = connect(postgres_url)
        lock = IntegrationLock(holder, "acme")
        lock.__enter__()
        watcher.execute("SELECT pg_terminate_backend(%s, 5000)", (holder.info.backend_pid,))
        assert not is_locked(watcher, "acme")
        holder.close()


@pytest.mark.parametrize("name", ["a", "acme_accounts", "z" * 100])
def test_any_name_can_be_looked_for(postgres_url: str, name: str) -> None:
    with connect(postgres_url) as one, connect(postgres_url) as two, IntegrationLock(one, name):
        assert is_locked(two, name)
