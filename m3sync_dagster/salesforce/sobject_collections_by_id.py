"""Changing and deleting records that are there, by their Ids: sObject Collections, 200 a call.

Unlike an upsert, neither can ever make a record.

Source: REST API Developer Guide, "Update Multiple Records with Fewer Round-Trips" and "Delete
Multiple Records with Fewer Round-Trips".
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from m3sync_dagster.salesforce.errors import NO_CODE, ApiError, parse_answer
from m3sync_dagster.salesforce.sobject_collections import MOST_ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.results import Acknowledged, RowResult, Value

GONE_ALREADY = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"}
"""What Salesforce says of a record that somebody else, or a call whose answer was lost, deleted."""


class _Answer(msgspec.Struct):
    """Salesforce's word on one record of a call."""

    success: bool
    errors: list[msgspec.Raw] | None = None


def delete(transport: Transport, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
    """Delete records, and hand over what became of each, a call at a time.

    Raises:
        SyncError: a call was refused as a whole, or got no answer.
    """
    for ids in _calls(transport, salesforce_ids):
        path = f"/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        answers = transport.fetch("DELETE", path, list[_Answer])
        yield _results(ids, answers, as_good=GONE_ALREADY)


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
        answers = transport.fetch("PATCH", "/composite/sobjects", list[_Answer], json=body)
        yield _results(ids, answers)


def _calls(transport: Transport, ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), MOST_ROWS):
        transport.check_quota()
        yield ids[start : start + MOST_ROWS]


def _results(
    ids: Sequence[str], answers: Sequence[_Answer], as_good: Collection[str] = ()
) -> list[RowResult]:
    """Pair answers with their records: Salesforce answers in the order of the request."""
    if len(answers) != len(ids):
        raise RemoteError(
            f"Salesforce answered {len(answers)} records where {len(ids)} were named",
            "Verify again: what has been done is seen then.",
        )
    return [_result(*pair, as_good) for pair in zip(ids, answers, strict=True)]


def _result(salesforce_id: str, answer: _Answer, as_good: Collection[str]) -> RowResult:
    if not answer.success:
        errors = [msgspec.json.decode(error) for error in answer.errors or ()]
        complaint = parse_answer(200, errors) if errors else ApiError(NO_CODE, "no reason given")
        if complaint.code not in as_good:
            return complaint.refuse(salesforce_id)
    return Acknowledged(salesforce_id, salesforce_id, created=False)
