"""Records whose external ID somebody has edited by hand, and how they get it back.

Without it, the next sync would find no such record and make a second one.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from m3sync_dagster.sync.deletions import BATCH, Org, Outcome
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import SyncedRecord


class ChangedExternalIds(Protocol):
    """What a comparison knows of such records."""

    def displaced(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Give them under the ids that they should have, so many at a time."""
        ...

    def replaced(self, ids: Sequence[str]) -> None:
        """Note that records go by their m3ter ids again."""
        ...


def restore_external_ids(mapping: FieldMapping, org: Org, records: ChangedExternalIds) -> Outcome:
    """Write m3ter's ids into the records again, and nothing else.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    outcome = Outcome()
    for rows in records.displaced(BATCH):
        ids = {row.salesforce_id: row.m3ter_id for row in rows}
        changes = {key: {mapping.external_id_field: m3ter_id} for key, m3ter_id in ids.items()}
        for results in org.update(mapping.object_name, changes):
            records.replaced([ids[salesforce_id] for salesforce_id in outcome.take(results)])
    return outcome
