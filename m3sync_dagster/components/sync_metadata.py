"""The metadata that a sync records with its asset: counts, columns, links, first rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from m3sync_dagster.salesforce import OrgLinks, look_up_code
from m3sync_dagster.state import WrittenRow
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import Rejected
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"
"""Dagster's own keys. Source: Dagster's documentation, "Asset metadata", "Table metadata"."""
LIST_VIEW = "salesforce_list_view"
"""The metadata key of the link to the object's list view."""
RECORD_URL = "salesforce_url"
"""The column of the link to a record's page; empty where the record is not in Salesforce."""

LONGEST_NAMES = 500
"""Characters of the changed fields' names that are shown for a row."""

Metadata = dict[str, dg.MetadataValue | int | float]


@dataclass(frozen=True, slots=True)
class SyncedObject:
    """The Salesforce object that a sync has written to.

    Args:
        mapping: which field goes where.
        links: the org's pages.
        described: the object, as the org describes it; ``None`` if that is not known.
        records: how many of the integration's records it has, as Salesforce has acknowledged them.
        salesforce_ids: the Salesforce Ids of the shown rejects that are in Salesforce.
        written: the first rows that Salesforce has accepted.
    """

    mapping: FieldMapping
    links: OrgLinks
    described: SalesforceObject | None = None
    records: int = 0
    salesforce_ids: Mapping[str, str] = field(default_factory=dict)
    written: Sequence[WrittenRow] = ()


def sync_metadata(synced: SyncedObject, rejected: Sequence[Rejected]) -> Metadata:
    """The metadata of a sync, apart from its measures.

    Args:
        synced: where the sync has written to.
        rejected: the first rows that are invalid or were rejected.
    """
    metadata: Metadata = {
        ROW_COUNT: synced.records,
        COLUMN_SCHEMA: dg.MetadataValue.table_schema(_column_schema(synced)),
        LIST_VIEW: dg.MetadataValue.url(synced.links.list_view(synced.mapping.object_name)),
    }
    if rejected:
        rows = [_table_row(row, synced) for row in rejected]
        metadata["rejects"] = dg.MetadataValue.table(rows)
    if synced.written:
        written = [_written_row(row, synced) for row in synced.written]
        metadata["written"] = dg.MetadataValue.table(written)
    return metadata


def _column_schema(synced: SyncedObject) -> dg.TableSchema:
    described = synced.described.fields if synced.described else {}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, _type_of(described.get(name)), description)
            for name, description in _columns(synced.mapping)
        ]
    )


def _columns(mapping: FieldMapping) -> Iterator[tuple[str, str]]:
    """Each Salesforce field that is written, and where its value comes from."""
    yield mapping.external_id_field, "m3ter's id, the external ID"
    for one in mapping.fields:
        source = ", ".join(one.sources) or one.source
        yield one.salesforce, f"{'first of ' if one.sources else ''}m3ter's {source}"
    for name in mapping.constants:
        yield name, "a constant of the integration"


def _type_of(described: SalesforceField | None) -> str:
    """The type of a field as the org describes it, with its size."""
    if described is None:
        return "not known"
    if described.precision:
        return f"{described.type}({described.precision}, {described.scale})"
    return f"{described.type}({described.length})" if described.length else described.type


def _written_row(row: WrittenRow, synced: SyncedObject) -> dg.TableRecord:
    """A row of the sample: fields by name, because values may be personal data."""
    return dg.TableRecord(
        {
            "action": row.action,
            "m3ter_id": row.m3ter_id,
            "changed_fields": "" if row.fields is None else ", ".join(row.fields)[:LONGEST_NAMES],
            RECORD_URL: synced.links.record(synced.mapping.object_name, row.salesforce_id),
        }
    )


def _table_row(row: Rejected, synced: SyncedObject) -> dg.TableRecord:
    salesforce_id = synced.salesforce_ids.get(row.m3ter_id)
    object_name = synced.mapping.object_name
    return dg.TableRecord(
        {
            "m3ter_id": row.m3ter_id,
            "class": row.error_class.value,
            "code": row.code,
            "message": row.message[:500],
            "fields": ", ".join(row.fields),
            "remedy": look_up_code(row.code, row.message).remedy,
            RECORD_URL: synced.links.record(object_name, salesforce_id) if salesforce_id else "",
        }
    )
