"""Reading the lists of a run's entity types at the same time.

Only a page of a list says where the next one begins, so the pages of one list are read one after
another, and m3ter's answer takes longer than the rate limit makes us wait. A run therefore reads
several lists at once, each in a thread. The entities are still synced one after another; pages that
are not needed yet are stored in temporary files. So the next page of a list is also requested while
the records of the page before it are mapped.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from m3sync_dagster.entities import EntityType
from m3sync_dagster.m3ter.page_spool import PageSpool
from m3sync_dagster.m3ter.source import M3terSource
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.matching_accounts import MatchingAccounts

STOP_SECONDS = 5.0
"""Seconds that the end of a run waits for the requests that are under way."""

_List = tuple[str, tuple[str, ...] | None]
"""An entity type's name, and the accounts whose records are read; ``None`` for all."""
_Pages = Iterator[Sequence[bytes]]


class ReadAhead:
    """The ``Source`` of all syncs of a run. It reads lists before their syncs ask for them.

    It begins with the first page of the first list: by then m3ter has accepted the credential.
    Close it before the source.

    Args:
        source: the m3ter organization.
    """

    def __init__(self, source: M3terSource) -> None:
        self._source = source
        self._known: set[_List] = set()
        self._expected: dict[_List, _Pages] = {}
        self._started: dict[_List, ListAhead] = {}
        self._all: list[ListAhead] = []

    @property
    def organization_id(self) -> str:
        """Id of the m3ter organization."""
        return self._source.organization_id

    def expect(self, lists: Iterable[tuple[EntityType, Sequence[str] | None]]) -> None:
        """Say which lists the run reads; those that it has begun to read are left out.

        Args:
            lists: each an entity type and the accounts, as ``records`` takes them.
        """
        for entity, account_ids in lists:
            wanted = _list(entity, account_ids)
            if wanted not in self._known:
                self._known.add(wanted)
                self._expected[wanted] = self._source.records(entity, account_ids)

    def records(self, entity: EntityType, account_ids: Sequence[str] | None) -> _Pages:
        """List every record of a type; see ``M3terSource.records``."""
        wanted = _list(entity, account_ids)
        self._known.add(wanted)
        self._expected.pop(wanted, None)
        ahead = self._started.get(wanted)
        pages = ahead.take() if ahead else None
        for page in pages or self._read(entity, account_ids):
            self._start()
            yield page

    def fetch(self, entity: EntityType, m3ter_id: str, parent: str | None = None) -> bytes | None:
        """Read one record by its id; see ``M3terSource.fetch``."""
        return self._source.fetch(entity, m3ter_id, parent)

    def matching_accounts(
        self, expression: AccountExpression, account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        """The accounts that satisfy an expression; see ``M3terSource.matching_accounts``."""
        return self._source.matching_accounts(expression, account_ids)

    def external_mappings(self, account_ids: Sequence[str] | None) -> _Pages:
        """List the external mappings; see ``M3terSource.external_mappings``."""
        return self._source.external_mappings(account_ids)

    def close(self) -> None:
        """Stop reading, and delete the temporary files.

        A request that is under way longer than ``STOP_SECONDS`` is not waited for. It ends in its
        thread, which then ends too, and which does not keep the process from ending.
        """
        for ahead in self._all:
            ahead.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for ahead in self._all:
            ahead.wait(deadline)

    def _read(self, entity: EntityType, account_ids: Sequence[str] | None) -> _Pages:
        """Read the first page of a list; the next ones are read while it is used."""
        pages = self._source.records(entity, account_ids)
        first = next(pages, None)
        if first is None:
            return
        ahead = self._begin(entity.name, pages)
        try:
            yield first
            yield from ahead.take() or ()
        finally:
            ahead.stop()

    def _start(self) -> None:
        while self._expected:
            wanted, pages = self._expected.popitem()
            self._started[wanted] = self._begin(wanted[0], pages)

    def _begin(self, name: str, pages: _Pages) -> "ListAhead":
        ahead = ListAhead(name, pages, PageSpool())
        self._all.append(ahead)
        return ahead


def _list(entity: EntityType, account_ids: Sequence[str] | None) -> _List:
    return entity.name, None if account_ids is None else tuple(account_ids)


class ListAhead:
    """One list that is read in a thread, from the beginning of this object's life.

    Args:
        name: the entity type.
        pages: the list. The thread reads it to its end, to an error, or until the disk is full;
            what is left then is read by the one who takes the list.
        spool: stores the pages until they are taken.
    """

    def __init__(self, name: str, pages: _Pages, spool: PageSpool) -> None:
        self._pages = pages
        self._spool = spool
        self._changed = threading.Condition()
        self._stopped = False
        self._taken = False
        self._ended = False
        self._unstored: Sequence[bytes] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name=f"m3sync list {name}", daemon=True)
        self._thread.start()

    def take(self) -> _Pages | None:
        """The pages, while they are read; ``None`` if they were taken before.

        The end of the list is always the end of ``pages``, and its error is raised in its place.
        """
        if self._taken:
            return None
        self._taken = True
        return self._all_pages()

    def stop(self) -> None:
        """Read no further page, and delete the temporary file."""
        with self._changed:
            self._stopped = True
            self._spool.close()

    def wait(self, deadline: float) -> None:
        """Wait for the end of the thread, but not longer than until then (``time.monotonic``)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _all_pages(self) -> _Pages:
        try:
            while (page := self._next_stored()) is not None:
                yield page
            if self._error:
                raise self._error
            if self._unstored is not None:
                yield self._unstored
            yield from self._pages
        finally:
            self.stop()

    def _next_stored(self) -> Sequence[bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._spool.unread or self._ended)
            return self._spool.read() if self._spool.unread else None

    def _read(self) -> None:
        try:
            for page in self._pages:
                if not self._store(page):
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised where the list is read
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _store(self, page: Sequence[bytes]) -> bool:
        with self._changed:
            stored = not self._stopped and self._spool.append(page)
            if not stored:
                self._unstored = page
            self._changed.notify_all()
            return stored
