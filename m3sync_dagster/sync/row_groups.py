"""Which rows can travel together.

A CSV file has one header for all its rows, and cannot clear a lookup under the header that sets
it by external ID (Salesforce Bulk API 2.0 guide, "Relationship Fields in a Header Row"). So rows
are told apart by which of their lookups are empty. A bit of the ``shape`` stands for a lookup that
is filled: bit 0 for the first lookup column, and so on. One more bit, above those, marks rows that
a CSV file cannot express at all.
"""

from collections.abc import Iterable, Sequence

from m3sync_dagster.sync.results import Row
from m3sync_dagster.sync.rows import Group, RecordHash, StagedRow, Target

CSV_NULL = "#N/A"
"""What a CSV file says for null, so that as a text it cannot be said there.

Source: Salesforce Bulk API 2.0 guide, "Prepare CSV Files".
"""


class RowGroups:
    """The shapes of one target's rows.

    Args:
        target: where the rows go.
        self_lookup: position of the column that points to a record of the same type, if any.
    """

    def __init__(self, target: Target, self_lookup: int | None) -> None:
        self._target = target
        self._lookups = [i for i, column in enumerate(target.columns) if column.relationship]
        self._self_lookup = self_lookup if self_lookup in self._lookups else None

    def staged(self, seen: RecordHash, row: Row) -> StagedRow:
        """Say with which others a row can travel, and after which it must."""
        filled = [place for place in self._lookups if row.values[place] is not None]
        sibling = None if self._self_lookup is None else row.values[self._self_lookup]
        return StagedRow(
            seen=seen,
            row=row,
            shape=self._shape(row),
            parent=str(row.values[filled[0]]) if filled else "",
            sibling=None if sibling is None else str(sibling),
            parents=tuple(str(row.values[place]) for place in filled),
        )

    def group(self, shapes: Sequence[int], rows: Iterable[Row], count: int) -> Group:
        """Describe rows that have one of these shapes."""
        if len(shapes) > 1:
            first = self._lookups[0] if self._lookups else None
            return Group(rows, count, collections_only=True, parent=first)
        (shape,) = shapes
        filled = [place for bit, place in enumerate(self._lookups) if shape >> bit & 1]
        empty = set(self._lookups) - set(filled)
        return Group(
            rows=rows,
            count=count,
            empty_lookups=frozenset(self._target.columns[place].field for place in empty),
            collections_only=bool(shape >> len(self._lookups)),
            parent=filled[0] if filled else None,
        )

    def _shape(self, row: Row) -> int:
        flags = [row.values[place] is not None for place in self._lookups]
        flags.append(CSV_NULL in row.values)
        return sum(flag << bit for bit, flag in enumerate(flags))
