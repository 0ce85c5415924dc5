"""The parents that are in scope, read once and held in few bytes.

They decide for records that have neither an account nor a status of their own, such as the line
items of a bill.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.id_digests import IdDigests
from m3sync_dagster.sync.record_decoder import decode_record


class ParentsInScope:
    """Which parents are in scope, and which of them m3ter will no longer recalculate.

    The parents are read when the first id is looked up, or with ``read``. An id takes 8 bytes, so
    that a million parents take 8 MB.

    Args:
        entity: the parents' type.
        scope: the accounts whose records are synced.
        final_when: a parent is final if one of these fields has this value; empty: always.
        read: lists the parents, as pages of JSON texts.
    """

    def __init__(
        self,
        entity: EntityType,
        scope: AccountFilter,
        final_when: Sequence[tuple[str, str | bool]],
        read: Callable[[], Iterable[Sequence[bytes]]],
    ) -> None:
        self._entity = entity
        self._scope = scope
        self._final_when = final_when
        self._read = read

    def read(self) -> None:
        """Read the parents, unless that was done before.

        Raises:
            SyncError: they could not be read to the end.
        """
        _ = self._ids

    def admits(self, parent_id: str) -> bool:
        """Whether children of this parent are in scope. Of one that is not listed they are not.

        Raises:
            SyncError: as for ``read``.
        """
        return any(parent_id in self._ids[final] for final in (True, False))

    def is_final(self, parent_id: str) -> bool:
        """Whether m3ter will no longer recalculate this parent and its children.

        One that changes while the list is read may be listed twice. It counts as open, so that the
        next run decides.

        Raises:
            SyncError: as for ``read``.
        """
        return parent_id in self._ids[True] and parent_id not in self._ids[False]

    def admits_unlisted(self, parent_id: str) -> bool | None:
        """Whether children are in scope that m3ter may no longer have.

        Returns:
            ``None`` where the list lacks the parent: it may have been deleted in m3ter.

        Raises:
            SyncError: as for ``read``.
        """
        if self.admits(parent_id):
            return True
        return False if parent_id in self._ids[None] else None

    @cached_property
    def _ids(self) -> dict[bool | None, IdDigests]:
        """The ids in scope by whether they are final, and under ``None`` those out of scope."""
        found = {True: IdDigests(), False: IdDigests(), None: IdDigests()}
        for parent_id, state in self._parents():
            found[state].add(parent_id)
        return found

    def _parents(self) -> Iterator[tuple[str, bool | None]]:
        for raw in chain.from_iterable(self._read()):
            try:
                parent = decode_record(raw)
            except ConversionError:
                continue  # the sync of the parents reports it as invalid
            if isinstance(parent, dict) and isinstance(parent_id := parent.get("id"), str):
                in_scope = self._scope.admits(parent.get(self._entity.account_field))
                yield parent_id, self._is_settled(parent) if in_scope else None

    def _is_settled(self, parent: dict[str, object]) -> bool:
        wanted = self._final_when
        return not wanted or any(parent.get(name) == value for name, value in wanted)
