"""Finding the Salesforce records of staged rows, just before the rows are sent.

A mapping that only updates needs their Ids: an upsert would create a record. One with fields that
are written only if they are empty needs the present values of these fields.

Up to ``FEW`` rows are looked up: those with a stored Salesforce Id in one call for 2,000 of them,
the others by external ID, 200 with a query. For more rows, all records with an external ID are
read, which takes the same few calls for any number.
"""

from collections.abc import Iterable, Iterator, Sequence

from m3sync_dagster.sync.interfaces import Destination
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_matches import RecordMatches
from m3sync_dagster.sync.row_results import NO_RECORD, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import QUERY_IDS, Column, MatchedRecord, Row, Target

FEW = 2_000
"""Rows up to which their records are looked up one by one."""
BATCH = 1_000
"""Rows without a record that are recorded together."""


def needs_matching(mapping: FieldMapping) -> bool:
    """Whether the records must be known before rows are sent."""
    return mapping.update_only or bool(mapping.if_empty)


class RecordMatching:
    """Finds the records of one entity's staged rows.

    Args:
        mapping: of the rows.
        matches: where the records are noted.
        destination: Salesforce.
    """

    def __init__(
        self, mapping: FieldMapping, matches: RecordMatches, destination: Destination
    ) -> None:
        self._mapping = mapping
        self._matches = matches
        self._destination = destination
        columns = enumerate(mapping.columns)
        self._places = [place for place, name in columns if name in mapping.if_empty]
        self._target = Target(
            mapping.object_name,
            mapping.external_id_field,
            tuple(Column(mapping.columns[place]) for place in self._places),
        )

    def match(self) -> Iterator[list[Rejected]]:
        """Find the records of the staged rows that were not matched yet.

        Yields:
            Of a mapping that only updates, the rows without a record. They are not sent, and the
            caller records them as waiting.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        count = self._matches.count_unmatched()
        if not count:
            return
        if count <= FEW:
            self._look_up()
        else:
            self._add_all(self._destination.read_back(self._target, None))
        self._matches.finish()
        if self._mapping.update_only:
            for ids in self._matches.without_record(BATCH):
                yield [self._without_record(m3ter_id) for m3ter_id in ids]

    def forget(self) -> None:
        """Match all rows that are still staged again: they are sent later than expected."""
        self._matches.forget()

    def complete(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Add to rows their Salesforce Ids and the values that are not sent."""
        return self._matches.complete(rows)

    def _look_up(self) -> None:
        """Read the known records by their Ids, and the rows left by their external IDs."""
        known = [one for one in self._matches.unmatched().values() if one]
        if known:
            self._add_all(self._destination.retrieve(self._target, known))
        left = sorted(self._matches.unmatched())
        for start in range(0, len(left), QUERY_IDS):
            only = Selection(
                Column(self._mapping.external_id_field), left[start : start + QUERY_IDS]
            )
            self._add_all(self._destination.read_back(self._target, only))

    def _add_all(self, batches: Iterable[Sequence[ReadRow]]) -> None:
        """Note the records of staged rows."""
        for rows in batches:
            self._matches.add([self._matched(row, row.m3ter_id) for row in rows if row.m3ter_id])

    def _matched(self, row: ReadRow, m3ter_id: str) -> MatchedRecord:
        pairs = zip(self._places, row.values, strict=True)
        kept = tuple(place for place, value in pairs if not is_empty(value))
        return MatchedRecord(m3ter_id, row.salesforce_id, kept)

    def _without_record(self, m3ter_id: str) -> Rejected:
        mapping = self._mapping
        cause = (
            f"Salesforce has no {mapping.object_name} whose {mapping.external_id_field} is "
            f"{m3ter_id}, and match: update_only creates none"
        )
        return Rejected(m3ter_id, ErrorClass.DEPENDENCY, NO_RECORD, cause)


def is_empty(value: object) -> bool:
    """Whether a field is empty, as a query returns it; a checkbox never is."""
    return value is None or value == ""
