"""The Salesforce records that staged rows belong to."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from m3sync_dagster.sync.row_types import MatchedRecord, Row


class RecordMatches(Protocol):
    """The Salesforce records of the staged rows of one entity, as this run has found them."""

    def forget(self) -> None:
        """Forget all of them, so that every staged row is matched again."""
        ...

    def count_unmatched(self) -> int:
        """Count the staged rows that were not matched."""
        ...

    def unmatched(self) -> dict[str, str | None]:
        """Return the m3ter ids of these rows, with the Salesforce Id that is stored for each."""
        ...

    def add(self, found: Sequence[MatchedRecord]) -> None:
        """Add the records of staged rows; those of other rows are left out."""
        ...

    def finish(self) -> None:
        """Note that Salesforce has no record for the rows that are still unmatched."""
        ...

    def without_record(self, size: int) -> Iterator[list[str]]:
        """Yield the m3ter ids of staged rows without a record, ``size`` at a time."""
        ...

    def complete(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Add to staged rows their Salesforce Ids and the values that are not sent."""
        ...
