"""Restoring external IDs that were edited by hand in Salesforce.

Without this, the next upsert would not find the record and would create a second one.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from m3sync_dagster.sync.flag_or_delete import BATCH, Org, Outcome
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import SyncedRecord


class ChangedExternalIds(Protocol):
    """The records whose external ID was edited."""

    def changed_external_ids(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Yield them under the m3ter ids that they should have, ``size`` at a time."""
        ...

    def record_restored(self, ids: Sequence[str]) -> None:
        """Note that records have their m3ter ids as external IDs again."""
        ...


def restore_external_ids(mapping: FieldMapping, org: Org, records: ChangedExternalIds) -> Outcome:
    """Write m3ter's ids into the external ID field again, and nothing else.

    A mapping that only updates leaves it to people which record has which external ID.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    outcome = Outcome()
    if mapping.update_only:
        return outcome
    for rows in records.changed_external_ids(BATCH):
        ids = {row.salesforce_id: row.m3ter_id for row in rows}
        changes = {key: {mapping.external_id_field: m3ter_id} for key, m3ter_id in ids.items()}
        for results in org.update(mapping.object_name, changes):
            records.record_restored([ids[salesforce_id] for salesforce_id in outcome.add(results)])
    return outcome
