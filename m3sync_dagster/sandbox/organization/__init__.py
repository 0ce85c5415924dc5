"""An m3ter organization held in memory: what the sandbox's m3ter server serves."""

from m3sync_dagster.sandbox.organization.collection import Collection, Entry, Filter, Keys, Query
from m3sync_dagster.sandbox.organization.store import (
    COLLECTIONS,
    Organization,
    UnknownRecordError,
    VersionConflictError,
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
]
