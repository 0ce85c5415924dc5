"""Deleting records: sObject Collections, 200 a call.

Source: REST API Developer Guide, "Delete Multiple Records with Fewer Round-Trips".
"""

from collections.abc import Iterator, Sequence

import msgspec

from m3sync_dagster.salesforce.errors import NO_CODE, Complaint, parse_answer
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.outcome import Acknowledged, RowResult

MOST_ROWS = 200
"""Records that Salesforce takes in one call."""
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
    for start in range(0, len(salesforce_ids), MOST_ROWS):
        ids = salesforce_ids[start : start + MOST_ROWS]
        transport.check_quota()
        path = f"/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        answers = transport.fetch("DELETE", path, list[_Answer])
        if len(answers) != len(ids):
            raise RemoteError(
                f"Salesforce answered {len(answers)} records where {len(ids)} were to be deleted",
                "Verify again: what was deleted is found missing.",
            )
        yield [_result(*pair) for pair in zip(ids, answers, strict=True)]


def _result(salesforce_id: str, answer: _Answer) -> RowResult:
    if answer.success:
        return Acknowledged(salesforce_id, salesforce_id, created=False)
    errors = [msgspec.json.decode(error) for error in answer.errors or ()]
    complaint = parse_answer(200, errors) if errors else Complaint(NO_CODE, "no reason given")
    if complaint.code in GONE_ALREADY:
        return Acknowledged(salesforce_id, salesforce_id, created=False)
    return complaint.refuse(salesforce_id)
