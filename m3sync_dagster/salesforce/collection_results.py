"""Results of an sObject Collections call: one for each record, in the order of the request.

Source: REST API Developer Guide, "Using sObject Collections".
"""

from collections.abc import Collection, Sequence

import msgspec

from m3sync_dagster.salesforce.error_classification import NO_CODE, ApiError, parse_error_body
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.row_results import Acknowledged, RowResult


class CollectionResult(msgspec.Struct):
    """The result of one record of a call."""

    success: bool
    id: str | None = None
    created: bool | None = None
    errors: list[msgspec.Raw] | None = None

    def api_error(self) -> ApiError | None:
        """Why the record was rejected; ``None`` after a success."""
        if self.success:
            return None
        errors = [msgspec.json.decode(error) for error in self.errors or ()]
        return parse_error_body(200, errors) if errors else ApiError(NO_CODE, "no reason given")


def pair_results(
    keys: Sequence[str],
    results: Sequence[CollectionResult],
    what: str,
    ignored_codes: Collection[str] = (),
) -> list[RowResult]:
    """Match each result with its record.

    Args:
        keys: the id of each record of the request, in its order.
        results: Salesforce's results.
        what: a name for the records in messages, such as ``rows of Account``.
        ignored_codes: error codes that count as success.

    Raises:
        RemoteError: there are more or fewer results than records.
    """
    if len(results) != len(keys):
        raise RemoteError(
            f"Salesforce returned {len(results)} results for {len(keys)} {what}",
            "Run the command again: records that were already written are not duplicated.",
        )
    return [
        _row_result(key, result, ignored_codes) for key, result in zip(keys, results, strict=True)
    ]


def _row_result(key: str, result: CollectionResult, ignored_codes: Collection[str]) -> RowResult:
    api_error = result.api_error()
    if api_error and api_error.code not in ignored_codes:
        return api_error.reject(key)
    return Acknowledged(key, result.id or key, bool(result.created))
