"""When entities were last synced, from the runs that an earlier version has recorded."""

from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.state import connect, list_events, list_rejects, migrate, read_entity_syncs
from m3sync_dagster_tests.conftest import dagster_instance
from m3sync_dagster_tests.guard.fixtures import asset
from m3sync_dagster_tests.state.test_migration_0009 import migrate_to

pytestmark = pytest.mark.slow

BEFORE = "0010"


def test_the_last_materialization_becomes_the_last_sync(
    empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    migrate_to(empty_postgres_url, BEFORE)

    @dg.asset(key=asset("acme"), deps=[asset("acme", "parent")])
    def synced() -> None: ...

    @dg.asset(key=asset("acme", "balance"))
    def failed() -> None:
        raise dg.Failure

    with dagster_instance(tmp_path) as instance:
        runs = [dg.materialize([synced], instance=instance).run_id for _ in range(2)]
        dg.materialize([failed], instance=instance, raise_on_error=False)
        # An error event is shown as an observation, which is no success.
        instance.report_runless_asset_event(dg.AssetObservation(asset("acme", "contract")))
        instance.report_runless_asset_event(dg.AssetMaterialization(["other", "asset"]))
        last = instance.get_latest_materialization_event(asset("acme"))
        assert last
    migrate(empty_postgres_url)
    with connect(empty_postgres_url) as connection:
        syncs = read_entity_syncs(connection)
    assert list(syncs) == ["acme"]
    assert list(syncs["acme"]) == ["account"]
    found = syncs["acme"]["account"]
    assert found.run_id == runs[-1]
    assert found.ended_at.timestamp() == pytest.approx(last.timestamp)
    assert (found.read, found.rejected) == (None, None)


def test_events_and_rejects_stay_as_they_are(empty_postgres_url: str) -> None:
    dump = Path(__file__).parent / "dumps" / f"{BEFORE}.sql"
    with connect(empty_postgres_url) as connection:
        connection.execute(dump.read_text())
    migrate(empty_postgres_url)
    with connect(empty_postgres_url) as connection:
        events, rejects = list_events(connection), list_rejects(connection, "acme")
        assert read_entity_syncs(connection) == {}
    assert len(events) == 5
    assert {event.closed for event in events} == {None}
    assert len(rejects) == 16
    assert {(one.record_name, one.refused, one.instance_url) for one in rejects} == {
        (None, None, None)
    }
