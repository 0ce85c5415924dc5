"""The records of one object, stored compactly so that a million fit in memory."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from m3sync_dagster.sandbox.salesforce.field_values import Value
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ObjectDef

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_COUNTER = re.compile(r"\{(0+)\}")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str | bool | None]).decode

PackedRecord = tuple[int, bytes]
"""A record's number and its packed values; it does not change when the record does."""


def record_id(key_prefix: str, number: int) -> str:
    """A record's Id of 18 characters; the last three encode the case of the others."""
    tail = ""
    while number:
        number, digit = divmod(number, 62)
        tail = _BASE62[digit] + tail
    short = key_prefix + tail.rjust(12, _BASE62[0])
    return short + "".join(_check_character(short[i : i + 5]) for i in (0, 5, 10))


def _check_character(part: str) -> str:
    return _CHECK[sum(1 << i for i, character in enumerate(part) if "A" <= character <= "Z")]


def record_number(key_prefix: str, text: str) -> int | None:
    """The number in an Id of 15 or 18 characters, or None if it is not an Id of this object."""
    if len(text) not in {15, 18} or not text.isalnum() or not text.isascii():
        return None
    number = 0
    for character in text[3:15]:
        number = number * 62 + _BASE62.index(character)
    expected = record_id(key_prefix, number)
    return number if expected[: len(text)] == text else None


@dataclass(slots=True)
class Index:
    """The records by their value of one field.

    Args:
        slot: the field's position in a record's values.
        ignores_case: whether values that differ only in case are equal.
        numbers: the numbers of the records, by value.
    """

    slot: int
    ignores_case: bool
    numbers: dict[str, tuple[int, ...] | int]

    def key(self, value: str) -> str:
        """The value as a key of the index."""
        return value.casefold() if self.ignores_case else value

    def find(self, value: str) -> tuple[int, ...]:
        """The numbers of the records with this value."""
        found = self.numbers.get(self.key(value), ())
        return (found,) if isinstance(found, int) else found

    def add(self, value: Value, number: int) -> None:
        """Adds a record with this value."""
        if isinstance(value, str):
            others = self.find(value)
            self.numbers[self.key(value)] = (*others, number) if others else number

    def remove(self, value: Value, number: int) -> None:
        """Removes a record with this value."""
        if isinstance(value, str):
            others = tuple(n for n in self.find(value) if n != number)
            if others:
                self.numbers[self.key(value)] = others
            else:
                self.numbers.pop(self.key(value), None)


class Table:
    """The records of one object by number; a record's Id is computed from its number.

    Args:
        definition: the object. Its fields may change; each gets its slot at its first use.
        user_id: the Id of the integration user, who owns all records.
    """

    def __init__(self, definition: ObjectDef, user_id: str) -> None:
        self.definition = definition
        self.user_id = user_id
        self._slots: dict[str, int] = {}
        self._rows: list[bytes | None] = []
        self._deleted: dict[int, bytes] = {}
        self._indexes: dict[str, Index] = {}

    def __len__(self) -> int:
        return len(self._rows) - self._rows.count(None)

    def slot(self, field: FieldDef) -> int:
        """The position of a field's value in a record's values."""
        return self._slots.setdefault(field.name, len(self._slots))

    def index(self, field: FieldDef) -> Index:
        """The index of a field, built at its first use."""
        ignores_case = not field.case_sensitive
        found = self._indexes.get(field.name)
        if found is None or found.ignores_case is not ignores_case:
            found = self._indexes[field.name] = Index(self.slot(field), ignores_case, {})
            for number, values in self.scan():
                found.add(values[found.slot], number)
        return found

    def blank(self) -> list[Value]:
        """The values of a new record: checkboxes are false, all others null."""
        fields = self.definition.fields.values()
        checkboxes = {self.slot(field) for field in fields if field.type == "Checkbox"}
        return [False if slot in checkboxes else None for slot in range(self._use_all(fields))]

    def _use_all(self, fields: Iterable[FieldDef]) -> int:
        for field in fields:
            self.slot(field)
        return len(self._slots)

    def next_number(self) -> int:
        """The number that the next record gets."""
        return len(self._rows)

    def get(self, number: int) -> list[Value] | None:
        """A record's values by slot, or None if it is deleted or does not exist."""
        packed = self._rows[number] if 0 <= number < len(self._rows) else None
        return None if packed is None else self.unpack(packed)

    def unpack(self, packed: bytes) -> list[Value]:
        """Unpacks values, with null for each field that was added since."""
        values: list[Value] = _decode(packed)
        values.extend([None] * (len(self._slots) - len(values)))
        return values

    def add(self, values: list[Value]) -> int:
        """Adds a record and returns its number."""
        self._rows.append(None)
        self.put(len(self._rows) - 1, values)
        return len(self._rows) - 1

    def put(self, number: int, values: list[Value]) -> None:
        """Replaces a record's values, or restores it."""
        self._remove_from_indexes(number)
        values.extend([None] * (len(self._slots) - len(values)))
        self._rows[number] = _encode(values)
        for index in self._indexes.values():
            index.add(values[index.slot], number)

    def remove(self, number: int) -> None:
        """Deletes a record; ``queryAll`` still finds it."""
        packed = self._rows[number]
        if packed is not None:
            self._remove_from_indexes(number)
            self._deleted[number] = packed
            self._rows[number] = None

    def erase(self, number: int) -> None:
        """Removes a record that is rolled back; ``queryAll`` does not find it."""
        self._remove_from_indexes(number)
        self._rows[number] = None

    def clear(self) -> None:
        """Removes all records."""
        self._rows.clear()
        self._deleted.clear()
        self._indexes.clear()

    def _remove_from_indexes(self, number: int) -> None:
        values = self.get(number)
        if values is not None:
            for index in self._indexes.values():
                index.remove(values[index.slot], number)

    def snapshot(self, *, deleted: bool = False) -> list[PackedRecord]:
        """All records, packed; later writes do not change them."""
        rows = [(number, row) for number, row in enumerate(self._rows) if row is not None]
        return rows + list(self._deleted.items()) if deleted else rows

    def pick(self, numbers: Iterable[int]) -> list[PackedRecord]:
        """The records with these numbers, packed."""
        rows = ((number, self._rows[number]) for number in numbers)
        return [(number, row) for number, row in rows if row is not None]

    def scan(self) -> Iterator[tuple[int, list[Value]]]:
        """All records with their values."""
        return ((number, self.unpack(packed)) for number, packed in self.snapshot())

    def was_deleted(self, text: str) -> bool:
        """Whether this is the Id of a record that was deleted."""
        return record_number(self.definition.key_prefix, text) in self._deleted

    def is_deleted(self, number: int) -> bool:
        """Whether a record was deleted."""
        return number in self._deleted

    def id_of(self, number: int) -> str:
        """A record's Id."""
        return record_id(self.definition.key_prefix, number)

    def number_of(self, text: str) -> int | None:
        """The number of the record with this Id, or None if it is deleted or does not exist."""
        number = record_number(self.definition.key_prefix, text)
        return number if number is not None and self.get(number) is not None else None

    def automatic_name(self, field: FieldDef) -> str:
        """The next value of an auto number field."""
        number = self.next_number() + 1
        return _COUNTER.sub(lambda zeros: f"{number:0{len(zeros[1])}d}", field.display_format)
