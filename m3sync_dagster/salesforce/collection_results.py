"""What sObject Collections answer: one result for each record, in the order of the request.

Source: REST API Developer Guide, "Using sObject Collections".
"""

from collections.abc import Collection, Sequence

import msgspec

from m3sync_dagster.salesforce.errors import NO_CODE, ApiError, parse_answer
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.results import Acknowledged, RowResult


class CollectionResult(msgspec.Struct):
    """What became of one record of a call."""

    success: bool
    id: str | None = None
    created: bool | None = None
    errors: list[msgspec.Raw] | None = None

    def complaint(self) -> ApiError | None:
        """Why it was refused; ``None`` where it was not."""
        if self.success:
            return None
        errors = [msgspec.json.decode(error) for error in self.errors or ()]
        return parse_answer(200, errors) if errors else ApiError(NO_CODE, "no reason given")


def pair_results(
    keys: Sequence[str],
    results: Sequence[CollectionResult],
    what: str,
    as_good: Collection[str] = (),
) -> list[RowResult]:
    """Pair each result with its record.

    Args:
        keys: what names each record of the request, in its order.
        results: what Salesforce answered.
        what: what the records are, for messages, such as ``rows of Account``.
        as_good: codes of errors that are as good as success.

    Raises:
        RemoteError: there are more or fewer results than records.
    """
    if len(results) != len(keys):
        raise RemoteError(
            f"Salesforce answered {len(results)} {what} where {len(keys)} were sent",
            "Run the command again: what Salesforce has done already is found, and not done twice.",
        )
    return [_row_result(key, result, as_good) for key, result in zip(keys, results, strict=True)]


def _row_result(key: str, result: CollectionResult, as_good: Collection[str]) -> RowResult:
    complaint = result.complaint()
    if complaint and complaint.code not in as_good:
        return complaint.refuse(key)
    return Acknowledged(key, result.id or key, bool(result.created))
