"""Sending parents again that were deleted in Salesforce.

Salesforce rejects a row whose parent is missing. If the ledger says that the parent was synced, it
was deleted in Salesforce by hand. Then the parent and the row are sent again in the same run.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeGuard

from m3sync_dagster.sync.interfaces import Ledger
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import PARENT_NOT_FOUND, ErrorClass, Rejected, RowResult


class DeletedParents:
    """Collects the missing parents of one entity's rows, and sends them again.

    Args:
        mapping: the mapping of the rows.
        ledger: the rows of the integration that Salesforce has acknowledged.
        send_again: stages records of the same entity type again, by their m3ter ids.
        send_parents: sends records of another entity type again; ``None``
            if that is not possible.
    """

    def __init__(
        self,
        mapping: FieldMapping,
        ledger: Ledger,
        send_again: Callable[[Sequence[str]], None],
        send_parents: Callable[[str, Sequence[str]], None] | None,
    ) -> None:
        self._entity = mapping.entity.name
        self._entities = sorted({f.refers_to for f in mapping.fields if f.refers_to})
        self._ledger = ledger
        self._send_again = send_again
        self._send_parents = send_parents
        self._missing: defaultdict[str, set[str]] = defaultdict(set)
        self._tried: set[tuple[str, str]] = set()

    def defer(self, results: Sequence[RowResult]) -> list[RowResult]:
        """Return the results without rows that are sent again after their parents.

        Those rows stay staged. A parent is sent again once in a run; if Salesforce does not find it
        then, the row is rejected.
        """
        waiting = {one.m3ter_id: one.message for one in results if _lacks_parent(one)}
        again = set()
        for m3ter_id, entity, parent in self._synced_parents(list(waiting)):
            if (entity, parent) not in self._tried and _may_name(waiting[m3ter_id], parent):
                self._missing[entity].add(parent)
                again.add(m3ter_id)
        return [one for one in results if one.m3ter_id not in again]

    def send(self) -> None:
        """Send the missing parents again.

        Raises:
            SyncError: m3ter or Salesforce could not be reached, or refused.
        """
        missing, self._missing = self._missing, defaultdict(set)
        for entity, ids in missing.items():
            self._tried |= {(entity, m3ter_id) for m3ter_id in ids}
            if entity == self._entity:
                self._send_again(sorted(ids))
            elif self._send_parents:
                self._send_parents(entity, sorted(ids))

    def _synced_parents(self, ids: Sequence[str]) -> list[tuple[str, str, str]]:
        return self._ledger.synced_parents(ids, self._entities) if ids else []


def _lacks_parent(result: RowResult) -> TypeGuard[Rejected]:
    return isinstance(result, Rejected) and result.error_class is ErrorClass.DEPENDENCY


def _may_name(message: str, parent: str) -> bool:
    """Tell whether the message names this parent, or no parent at all."""
    return PARENT_NOT_FOUND not in message or parent in message
