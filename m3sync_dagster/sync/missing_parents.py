"""Rows that Salesforce rejects for a missing parent which it should hold.

If the ledger says that Salesforce holds the parent, somebody has deleted it there. The parent goes
again, and the row after it, in the same run.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from m3sync_dagster.sync.interfaces import Ledger
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.results import ErrorClass, Rejected, RowResult


class MissingParents:
    """Collects the missing parents of one entity's rows, and has them sent again.

    Args:
        mapping: the mapping of the rows.
        ledger: what Salesforce has acknowledged of the integration.
        send_again: stages records of the same entity type again, by their m3ter ids.
        send_parents: sends records of another entity type again; ``None`` where that cannot be.
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

    def keep_back(self, results: Sequence[RowResult]) -> list[RowResult]:
        """Take out the rows that shall go again after their parents; they stay staged.

        A parent is sent again once in a run. If Salesforce does not find it then either, the
        row's rejection stands.
        """
        waiting = [one.m3ter_id for one in results if _lacks_parent(one)]
        again = set()
        for m3ter_id, entity, parent in self._held_parents(waiting):
            if (entity, parent) not in self._tried:
                self._missing[entity].add(parent)
                again.add(m3ter_id)
        return [one for one in results if one.m3ter_id not in again]

    def send(self) -> None:
        """Send the missing parents again.

        Raises:
            SyncError: m3ter or Salesforce could not be asked.
        """
        missing, self._missing = self._missing, defaultdict(set)
        for entity, ids in missing.items():
            self._tried |= {(entity, m3ter_id) for m3ter_id in ids}
            if entity == self._entity:
                self._send_again(sorted(ids))
            elif self._send_parents:
                self._send_parents(entity, sorted(ids))

    def _held_parents(self, ids: Sequence[str]) -> list[tuple[str, str, str]]:
        return self._ledger.held_parents(ids, self._entities) if ids else []


def _lacks_parent(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.error_class is ErrorClass.DEPENDENCY
