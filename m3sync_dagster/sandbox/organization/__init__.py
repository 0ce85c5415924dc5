"""An m3ter organization in memory, which the m3ter sandbox serves."""

from m3sync_dagster.sandbox.organization.collection import Collection, Entry, Filter, Keys, Query
from m3sync_dagster.sandbox.organization.store import (
    COLLECTIONS,
    Organization,
    UnknownRecordError,
    VersionConflictError,
    decode_fields,
)

__all__ = [
    "COLLECTIONS",
    "Collection",
    "Entry",
    "Filter",
    "Keys",
    "Organization",
    "Query",
    "UnknownRecordError",
    "VersionConflictError",
    "decode_fields",
]
