"""Updating and deleting records by their Ids: sObject Collections, 200 records a call.

Unlike an upsert, neither can create a record.

Source: REST API Developer Guide, "Update Multiple Records with Fewer Round-Trips" and "Delete
Multiple Records with Fewer Round-Trips".
"""

from collections.abc import Iterator, Mapping, Sequence

from m3sync_dagster.salesforce.collection_results import CollectionResult, pair_results
from m3sync_dagster.salesforce.sobject_collections import MOST_ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.row_results import RowResult
from m3sync_dagster.sync.row_types import Value

ALREADY_DELETED = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"}
"""Codes for a record that was already deleted, possibly by a call whose response was lost."""


def delete(transport: Transport, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
    """Delete records, and yield the results of each call.

    Raises:
        SyncError: a call failed as a whole, or had no response.
    """
    for ids in _calls(transport, salesforce_ids):
        path = f"/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        results = transport.fetch("DELETE", path, list[CollectionResult])
        yield pair_results(ids, results, "records to delete", ignored_codes=ALREADY_DELETED)


def update(
    transport: Transport, object_name: str, changes: Mapping[str, Mapping[str, Value]]
) -> Iterator[list[RowResult]]:
    """Update fields of records, and yield the results of each call.

    Args:
        transport: the org.
        object_name: API name of their object.
        changes: for each record's Id, the API names and new values of its fields.

    Raises:
        SyncError: a call failed as a whole, or had no response.
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
