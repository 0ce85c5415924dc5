"""The calls of kinetic-core, a client with ingest jobs, a mapper and a pipeline."""

import tempfile
from collections.abc import Iterator
from typing import Any

from calls import KEY, OBJECT, QUERY, ROWS, URL, VERSION, Call, refused, run, token
from kinetic_core.bulk.client import BulkV2Client
from kinetic_core.core.client import SalesforceClient
from kinetic_core.core.session import SalesforceSession
from kinetic_core.pipeline.sync_pipeline import SyncMode, SyncPipeline


def calls() -> Iterator[Call]:
    """All calls."""
    client = SalesforceClient(SalesforceSession(URL, token(), api_version=f"v{VERSION}"))
    yield from records(client)
    yield from queries(client)
    yield from jobs(client.bulk)
    yield from pipelines(client)
    yield from not_served(client)


def records(client: SalesforceClient) -> Iterator[Call]:
    """Descriptions and single records."""
    ids: list[str] = []

    def created() -> bool:
        ids.append(client.create(OBJECT, {KEY: "one", "Name": "One"}))
        return len(ids[0]) == 18

    several = [{KEY: f"several {number}", "Name": "Several"} for number in range(2)]
    yield "list_objects", lambda: OBJECT in {one["name"] for one in client.list_objects()}, True
    yield "describe", lambda: client.describe(OBJECT)["name"], OBJECT
    yield "create", created, True
    yield "get", lambda: client.get(OBJECT, ids[0])["Name"], "One"
    yield "get, some fields", lambda: client.get(OBJECT, ids[0], ["Name"])["Name"], "One"
    yield "update", lambda: client.update(OBJECT, ids[0], {"Name": "Two"}), True
    yield "upsert, existing", lambda: client.upsert(OBJECT, KEY, "one", {"Name": "3"}) in ids, True
    yield "upsert, new", lambda: bool(client.upsert(OBJECT, KEY, "new", {"Name": "New"})), True
    yield (
        "create_batch",
        lambda: [one["success"] for one in client.create_batch(OBJECT, several)],
        [True, True],
    )
    yield "delete", lambda: client.delete(OBJECT, ids[0]), True
    yield "get, deleted", refused("404 Client Error", lambda: client.get(OBJECT, ids[0])), True
    yield "create, invalid", refused("400 Client", lambda: client.create("Account", {})), True


def queries(client: SalesforceClient) -> Iterator[Call]:
    """Queries."""
    seen: list[object] = []
    yield "query", lambda: len(client.query(QUERY)), 3
    yield "query, deleted records", lambda: len(client.query(QUERY, include_deleted=True)), 4
    yield "query_one", lambda: (client.query_one(QUERY) or {})["Name"], "New"
    yield "count", lambda: client.count(OBJECT, f"{KEY} LIKE 'several%'"), 2
    yield "query_with_callback", lambda: client.query_with_callback(QUERY, seen.append), 3
    yield "query, malformed", refused("400 Client Error", lambda: client.query("SELECT")), True


def jobs(bulk: BulkV2Client) -> Iterator[Call]:
    """Ingest jobs and query jobs."""
    inserted = [{KEY: f"insert {number}", "Name": f"Ä, {number}"} for number in range(4)]

    def ids() -> list[str]:
        found = bulk.query(f"SELECT Id FROM {OBJECT} WHERE {KEY} LIKE 'insert %'")  # noqa: S608
        return [one["Id"] for one in found.records]

    def done(result: Any) -> tuple[int, int]:  # noqa: ANN401 - kinetic-core has no types
        return result.success_count, result.failed_count

    def updated() -> tuple[int, int]:
        return done(bulk.update(OBJECT, [{"Id": one, "Name": "Changed"} for one in ids()]))

    def looked_up() -> str:
        job = bulk.insert(OBJECT, [{KEY: "job", "Name": "Job"}]).job
        return str(bulk.get_job(job.id).state)

    yield "bulk.upsert", lambda: done(bulk.upsert(OBJECT, ROWS, KEY)), (5, 0)
    yield "bulk.insert", lambda: done(bulk.insert(OBJECT, inserted)), (4, 0)
    yield "bulk.insert, invalid", lambda: done(bulk.insert(OBJECT, [{KEY: "x" * 99}])), (0, 1)
    yield "bulk.query", lambda: len(ids()), 4
    yield "bulk.update", updated, (4, 0)
    yield "bulk.get_job", looked_up, "JobComplete"
    yield "bulk.delete", lambda: done(bulk.delete(OBJECT, ids()[:2])), (2, 0)
    yield "bulk.hard_delete", lambda: done(bulk.hard_delete(OBJECT, ids())), (2, 0)


def pipelines(client: SalesforceClient) -> Iterator[Call]:
    """The pipeline, in its four modes."""
    rows = [{KEY: "pipeline", "Name": "Pipeline"}]

    def synced(mode: SyncMode, data: list[dict[str, str]]) -> int:
        key = KEY if mode is SyncMode.UPSERT else None
        pipeline = SyncPipeline(client, OBJECT, mode=mode, external_id_field=key)
        return int(pipeline.sync(data).success_count)

    def found() -> list[dict[str, str]]:
        where = f"WHERE {KEY} = 'pipeline'"
        ids = client.query(f"SELECT Id FROM {OBJECT} {where}")  # noqa: S608 - of constants
        return [{"Id": one["Id"]} for one in ids]

    yield "SyncPipeline, insert", lambda: synced(SyncMode.INSERT, rows), 1
    new = [{KEY: "pipeline, new", "Name": "New"}]
    yield "SyncPipeline, upsert", lambda: synced(SyncMode.UPSERT, new), 1
    changed = {"Name": "Changed"}
    yield (
        "SyncPipeline, update",
        lambda: synced(SyncMode.UPDATE, [one | changed for one in found()]),
        1,
    )
    yield "SyncPipeline, delete", lambda: synced(SyncMode.DELETE, found()), 1


def not_served(client: SalesforceClient) -> Iterator[Call]:
    """What is no part of a sync."""
    metadata = client.metadata
    yield "metadata.describe_metadata", lambda: bool(metadata.describe_metadata()), True
    with tempfile.TemporaryDirectory() as folder:
        yield "metadata.retrieve", lambda: metadata.retrieve(["CustomObject"], folder).success, True


if __name__ == "__main__":
    run(calls())
