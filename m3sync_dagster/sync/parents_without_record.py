"""Rows that wait with their parent: it may only update a Salesforce record, and has none.

Salesforce would refuse them in each run. They are not sent until the parent has found its record.
"""

from collections.abc import Collection

from m3sync_dagster.sync.known_rows import KnownRows
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import NO_PARENT_RECORD, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Row


def waiting_with_parent(
    mapping: FieldMapping, known: KnownRows, rows: Collection[Row]
) -> list[Rejected]:
    """The rows that point to a parent without a record, which make no call to Salesforce.

    Args:
        mapping: of the rows.
        known: the results of the parents, which are synced before their children.
        rows: the rows that have changed.
    """
    found: dict[str, Rejected] = {}
    for place, lookup in enumerate(mapping.fields):
        if not (lookup.refers_to and lookup.refers_to in mapping.update_only_parents):
            continue
        parents = {str(value) for row in rows if (value := row.values[place]) is not None}
        without = known.without_record(lookup.refers_to, sorted(parents)) if parents else set()
        for row in rows:
            if row.values[place] in without:
                found.setdefault(row.m3ter_id, _waiting(mapping, row, place, lookup.refers_to))
    return list(found.values())


def _waiting(mapping: FieldMapping, row: Row, place: int, parent: str) -> Rejected:
    fields = (mapping.columns[place],)
    cause = (
        f"{fields[0]} points to the {mapping.parent_objects[parent]} whose "
        f"{mapping.parent_external_ids[parent]} is {row.values[place]}: Salesforce has none, and "
        f"match: update_only of the {parent} creates none"
    )
    record = mapping.refused_record(row.values, fields)
    return Rejected(
        row.m3ter_id, ErrorClass.DEPENDENCY, NO_PARENT_RECORD, cause, fields, record=record
    )
