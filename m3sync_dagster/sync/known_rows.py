"""What earlier runs have stored of an entity's rows, read only."""

from collections.abc import Sequence
from typing import Protocol

from m3sync_dagster.sync.row_results import Rejected
from m3sync_dagster.sync.row_types import RecordHash


class KnownRows(Protocol):
    """The stored fingerprints and rejects of one entity, read only."""

    def unknown_digests(self, digests: Sequence[bytes]) -> list[int]:
        """Return the positions of the JSON texts that do not belong to acknowledged rows."""
        ...

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        """Return the fingerprints of the records that are in Salesforce, by m3ter id.

        ``None`` is a withdrawn fingerprint: the record is in Salesforce, with unknown values.
        """
        ...

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        """Return the rejects whose row is unchanged and whose next attempt is not due."""
        ...

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        """Return those of these records that may only update a Salesforce record, and have none.

        Args:
            entity: the integration's entity type. Of the same type as the rows, only records whose
                next attempt is not due are returned, because the others may find their record.
            ids: their m3ter ids.
        """
        ...
