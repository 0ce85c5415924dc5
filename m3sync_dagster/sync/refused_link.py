"""Rows that Salesforce rejected because of their link to a record of the CRM."""

from collections.abc import Sequence
from dataclasses import replace

from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import REFUSED_LINK, Rejected
from m3sync_dagster.sync.row_types import Value

_CODES = frozenset(
    {
        "INVALID_CROSS_REFERENCE_KEY",
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        "MALFORMED_ID",
    }
)
"""Source: SOAP API Developer Guide, "Core Data Types Used in API Calls", StatusCode."""


def explain_refused_link(
    mapping: FieldMapping, rejected: Rejected, values: Sequence[Value]
) -> Rejected:
    """Add to a rejection which link it may be about, if it is about one.

    Salesforce often names no field with these codes.

    Args:
        mapping: of the row.
        rejected: the rejection.
        values: the row's, in the order of the mapping's columns.
    """
    link = mapping.link
    if link is None or rejected.code not in _CODES:
        return rejected
    linked_to = values[mapping.columns.index(link.field)]
    if linked_to is None or (rejected.fields and link.field not in rejected.fields):
        return rejected
    words = (
        f"{rejected.message} ({REFUSED_LINK}: {link.field} points to the {link.object} "
        f"{linked_to}, by {link.source}; Salesforce has no such record, or hides it from this user)"
    )
    return replace(rejected, message=words)
