"""Changing and deleting records that are there, by their Ids: sObject Collections, 200 a call.

Unlike an upsert, neither can ever make a record.

Source: REST API Developer Guide, "Update Multiple Records with Fewer Round-Trips" and "Delete
Multiple Records with Fewer Round-Trips".
"""

from collections.abc import Iterator, Mapping, Sequence

from m3sync_dagster.salesforce.collection_results import CollectionResult, pair_results
from m3sync_dagster.salesforce.sobject_collections import MOST_ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.results import RowResult, Value

GONE_ALREADY = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"}
"""What Salesforce says of a record that somebody else, or a call whose answer was lost, deleted."""


def delete(transport: Transport, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
    """Delete records, and hand over what became of each, a call at a time.

    Raises:
        SyncError: a call was refused as a whole, or got no answer.
    """
    for ids in _calls(transport, salesforce_ids):
        path = f"/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        results = transport.fetch("DELETE", path, list[CollectionResult])
        yield pair_results(ids, results, "records to delete", as_good=GONE_ALREADY)


def update(
    transport: Transport, object_name: str, changes: Mapping[str, Mapping[str, Value]]
) -> Iterator[list[RowResult]]:
    """Give fields of records new values, and hand over what became of each, a call at a time.

    Args:
        transport: the org.
        object_name: API name of their object.
        changes: API name and value of each field, by the records' Ids.

    Raises:
        SyncError: a call was refused as a whole, or got no answer.
    """
    for ids in _calls(transport, list(changes)):
        records = [{"attributes": {"type": object_name}, "id": i, **changes[i]} for i in ids]
        body = {"allOrNone": False, "records": records}
        results = transport.fetch("PATCH", "/composite/sobjects", list[CollectionResult], json=body)
        yield pair_results(ids, results, f"rows of {object_name}")


def _calls(transport: Transport, ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), MOST_ROWS):
        transport.check_quota()
        yield ids[start : start + MOST_ROWS]
