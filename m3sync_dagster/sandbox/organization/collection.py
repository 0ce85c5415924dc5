"""The records of one type, in the order in which they were created."""

import json
from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Collection as Ids
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

import msgspec

from m3sync_dagster.sandbox.json_types import Json


class Keys(msgspec.Struct, rename="camel"):
    """The fields by which a list can be filtered; a record may give them values of any type."""

    code: Json = None
    account_id: Json = None
    contract_id: Json = None
    product_ids: Json = None
    start_date: Json = None
    end_date: Json = None
    rollover_amount: Json = None
    rollover_end_date: Json = None
    status: Json = None
    locked: Json = None
    destination_id: Json = None
    parent_account_id: Json = None
    transaction_type_id: Json = None
    entity_type: Json = None
    entity_id: Json = None
    m3ter_id: Json = None
    external_system: Json = None
    integration_config_id: Json = None
    bill_id: Json = None
    commitment_id: Json = None
    line_item_type: Json = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as JSON, its sequence number in the order of creation, and its keys."""

    sequence: int
    id: str
    raw: bytes
    keys: Keys


Filter = Callable[[Keys], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A request for one page of records.

    Args:
        size: the maximum number of records.
        before: only records with a lower sequence number; None for the first page.
        ids: only records with these ids; None for all.
        filters: the conditions that a record's keys must all satisfy.
        shift: starts the page this many records closer to the newest.
    """

    size: int
    before: int | None = None
    ids: Ids[str] | None = None
    filters: tuple[Filter, ...] = ()
    shift: int = 0


_decoder = msgspec.json.Decoder(Keys)
_sequence = attrgetter("sequence")


class Collection:
    """Records by id, each stored as the JSON bytes to send, so that a page is one join.

    Not safe to change from two threads at once; ``Organization`` has a lock.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._order: list[Entry] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._by_id

    def __deepcopy__(self, _: dict[int, object]) -> "Collection":
        """A collection with the same entries, which are never changed."""
        copied = Collection()
        copied._by_id, copied._order = self._by_id.copy(), self._order.copy()
        copied._next = self._next
        return copied

    @property
    def newest(self) -> int:
        """The next sequence number, which is higher than that of every record."""
        return self._next

    def ids(self) -> list[str]:
        """All ids, oldest first."""
        return [entry.id for entry in self._order]

    def raw(self, record_id: str) -> bytes | None:
        """The record's JSON, or None if there is no such record."""
        entry = self._by_id.get(record_id)
        return entry.raw if entry else None

    def put(self, record_id: str, raw: bytes) -> None:
        """Stores a record: an existing one keeps its sequence number, a new one becomes the newest.

        Raises:
            msgspec.DecodeError: ``raw`` is not JSON, even to a lenient decoder.
        """
        existing = self._by_id.get(record_id)
        sequence = existing.sequence if existing else self._next
        entry = Entry(sequence, record_id, raw, _keys(raw))
        self._by_id[record_id] = entry
        if existing:
            self._order[bisect_left(self._order, sequence, key=_sequence)] = entry
        else:
            self._order.append(entry)
            self._next += 1

    def delete(self, record_id: str) -> bytes | None:
        """Removes a record and returns its JSON, or None if there is no such record."""
        entry = self._by_id.pop(record_id, None)
        if entry is None:
            return None
        del self._order[bisect_left(self._order, entry.sequence, key=_sequence)]
        return entry.raw

    def delete_where(self, matches: Filter) -> None:
        """Removes the records whose keys satisfy a condition."""
        for entry in [one for one in self._order if matches(one.keys)]:
            self.delete(entry.id)

    def page(self, query: Query) -> tuple[list[Entry], bool]:
        """The matching records of one page, newest first, and whether there are more."""
        source = self._order if query.ids is None else self._with_ids(query.ids)
        before = self._next if query.before is None else query.before
        end = bisect_left(source, before, key=_sequence) + query.shift
        end = min(max(end, 0), len(source))
        found = (
            entry
            for entry in map(source.__getitem__, range(end - 1, -1, -1))
            if all(matches(entry.keys) for matches in query.filters)
        )
        page = list(islice(found, query.size))
        return page, next(found, None) is not None

    def _with_ids(self, ids: Ids[str]) -> list[Entry]:
        return sorted((self._by_id[one] for one in set(ids) & self._by_id.keys()), key=_sequence)


def _keys(raw: bytes) -> Keys:
    """The record's keys; none if it is JSON but not an object."""
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        return Keys()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _keys_of_lenient_json(raw, error)


def _keys_of_lenient_json(raw: bytes, error: Exception) -> Keys:
    """The keys as read by Python's decoder, which accepts lone surrogates and control characters.

    Bytes that are not UTF-8 are replaced. JSON nested too deep for the decoder has no keys.
    """
    try:
        return msgspec.convert(json.loads(raw.decode(errors="replace"), strict=False), Keys)
    except (msgspec.ValidationError, RecursionError):
        return Keys()
    except ValueError:
        raise msgspec.DecodeError(str(error)) from None
