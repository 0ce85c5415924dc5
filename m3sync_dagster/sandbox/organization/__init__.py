"""An m3ter organization in memory, which the m3ter sandbox serves."""

from m3sync_dagster.sandbox.organization.collection import Collection, Entry, Filter, Keys, Query
from m3sync_dagster.sandbox.organization.sample_line_items import PATH as LINE_ITEMS
from m3sync_dagster.sandbox.organization.store import (
    COLLECTIONS,
    CRM_ACCOUNT_IDS,
    Organization,
    UnknownRecordError,
    VersionConflictError,
    decode_fields,
)

__all__ = [
    "COLLECTIONS",
    "CRM_ACCOUNT_IDS",
    "LINE_ITEMS",
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
