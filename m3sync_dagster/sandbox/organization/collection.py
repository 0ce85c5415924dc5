"""The records of one type, in the order in which they were created."""

import json
from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Collection as Ids
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec


class Keys(msgspec.Struct, rename="camel"):
    """The fields that a list can be filtered by, of whatever type the record gives them."""

    code: Any = None
    account_id: Any = None
    contract_id: Any = None
    product_ids: Any = None
    start_date: Any = None
    end_date: Any = None
    rollover_amount: Any = None
    rollover_end_date: Any = None
    status: Any = None
    locked: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it goes over the wire, its place in the order of creation, and its keys."""

    sequence: int
    id: str
    raw: bytes
    keys: Keys


Filter = Callable[[Keys], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """Which page of records is asked for.

    Args:
        size: the most records to return.
        before: the sequence number that they must be older than; None for the first page.
        ids: the only records to look at; None for all.
        filters: what a record's keys must all satisfy.
        shift: starts the page this many records nearer to the newest end.
    """

    size: int
    before: int | None = None
    ids: Ids[str] | None = None
    filters: tuple[Filter, ...] = ()
    shift: int = 0


_decoder = msgspec.json.Decoder(Keys)
_sequence = attrgetter("sequence")


class Collection:
    """Records by id, each kept as the JSON bytes to send, so that a page is one join.

    Not safe to change from two threads at once: ``Organization`` holds the lock.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._order: list[Entry] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._by_id

    @property
    def newest(self) -> int:
        """A sequence number that every record is older than."""
        return self._next

    def ids(self) -> list[str]:
        """All ids, oldest first."""
        return [entry.id for entry in self._order]

    def raw(self, record_id: str) -> bytes | None:
        """The record's JSON, or None when there is no such record."""
        entry = self._by_id.get(record_id)
        return entry.raw if entry else None

    def put(self, record_id: str, raw: bytes) -> None:
        """Keeps a record: an existing one keeps its place, another becomes the newest.

        Raises:
            msgspec.DecodeError: ``raw`` is not JSON, however loosely read.
        """
        known = self._by_id.get(record_id)
        sequence = known.sequence if known else self._next
        entry = Entry(sequence, record_id, raw, _keys(raw))
        self._by_id[record_id] = entry
        if known:
            self._order[bisect_left(self._order, sequence, key=_sequence)] = entry
        else:
            self._order.append(entry)
            self._next += 1

    def delete(self, record_id: str) -> bytes | None:
        """Removes a record and returns its JSON, or None when there is no such record."""
        entry = self._by_id.pop(record_id, None)
        if entry is None:
            return None
        del self._order[bisect_left(self._order, entry.sequence, key=_sequence)]
        return entry.raw

    def page(self, query: Query) -> tuple[list[Entry], bool]:
        """The newest records that fit, newest first, and whether there are more."""
        source = self._order if query.ids is None else self._chosen(query.ids)
        before = self._next if query.before is None else query.before
        end = bisect_left(source, before, key=_sequence) + query.shift
        end = min(max(end, 0), len(source))
        found = (
            entry
            for entry in map(source.__getitem__, range(end - 1, -1, -1))
            if all(fits(entry.keys) for fits in query.filters)
        )
        page = list(islice(found, query.size))
        return page, next(found, None) is not None

    def _chosen(self, ids: Ids[str]) -> list[Entry]:
        return sorted((self._by_id[one] for one in set(ids) & self._by_id.keys()), key=_sequence)


def _keys(raw: bytes) -> Keys:
    """The record's keys; none when it is JSON but no object."""
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        return Keys()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _keys_of_odd_json(raw, error)


def _keys_of_odd_json(raw: bytes, error: Exception) -> Keys:
    """What Python's own decoder reads, which takes half a surrogate pair and control characters.

    It reads bytes that are not UTF-8 too, if they are replaced. What is nested deeper than it
    goes has no keys.
    """
    try:
        return msgspec.convert(json.loads(raw.decode(errors="replace"), strict=False), Keys)
    except (msgspec.ValidationError, RecursionError):
        return Keys()
    except ValueError:
        raise msgspec.DecodeError(str(error)) from None
