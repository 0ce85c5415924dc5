"""Which rows can be sent together.

A CSV file has one header for all its rows, and cannot clear a lookup under the header that sets
it by external ID (Salesforce Bulk API 2.0 guide, "Relationship Fields in a Header Row"). So rows
are grouped by which of their lookups are empty. The ``group_key`` is a bit mask: bit 0 is set if
the first lookup column has a value, and so on; one more bit, above those, is set if a CSV file
cannot express the row. Its column in PostgreSQL has the name of an earlier version, ``shape``.
"""

from collections.abc import Iterable, Sequence

from m3sync_dagster.sync.row_types import Group, RecordHash, Row, StagedRow, Target

CSV_NULL = "#N/A"
"""Null in a CSV file, which therefore cannot contain it as a text.

Source: Salesforce Bulk API 2.0 guide, "Prepare CSV Files".
"""


class RowGroups:
    """The groups of one target's rows.

    Args:
        target: where the rows go.
        self_lookup: position of the column that points to a record of the same type, if any.
    """

    def __init__(self, target: Target, self_lookup: int | None) -> None:
        self._target = target
        self._lookups = [i for i, column in enumerate(target.columns) if column.relationship]
        self._self_lookup = self_lookup if self_lookup in self._lookups else None

    def staged(self, seen: RecordHash, row: Row) -> StagedRow:
        """Add to a row its group, its parents, and the record that must be sent before it."""
        filled = [place for place in self._lookups if row.values[place] is not None]
        sibling = None if self._self_lookup is None else row.values[self._self_lookup]
        return StagedRow(
            seen=seen,
            row=row,
            group_key=self._group_key(row),
            parent=str(row.values[filled[0]]) if filled else "",
            sibling=None if sibling is None else str(sibling),
            parents=tuple(str(row.values[place]) for place in filled),
        )

    def group(self, group_keys: Sequence[int], rows: Iterable[Row], count: int) -> Group:
        """Describe rows that have one of these group keys."""
        if len(group_keys) > 1:
            first = self._lookups[0] if self._lookups else None
            return Group(rows, count, collections_only=True, parent=first)
        (group_key,) = group_keys
        filled = [place for bit, place in enumerate(self._lookups) if group_key >> bit & 1]
        empty = set(self._lookups) - set(filled)
        return Group(
            rows=rows,
            count=count,
            empty_lookups=frozenset(self._target.columns[place].field for place in empty),
            collections_only=bool(group_key >> len(self._lookups)),
            parent=filled[0] if filled else None,
        )

    def _group_key(self, row: Row) -> int:
        flags = [row.values[place] is not None for place in self._lookups]
        flags.append(CSV_NULL in row.values)
        return sum(flag << bit for bit, flag in enumerate(flags))
