"""The org's records: how a row is taken, refused, and read back."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any

from m3sync_dagster_tests.independent_org.schema import Field, Object

_ids = count(1)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_ESCAPED = re.compile(r"\\(.)")
_AMONG = re.compile(
    rf"\(?([\w.]+) IN \(({_TEXT.pattern}(?:, ?{_TEXT.pattern})*)\)(?: OR ([\w.]+) = null\))?"
)
_FILLED = re.compile(r"([\w.]+) != null")


class RowError(Exception):
    """Why a row is refused: status code, words, and the fields it is about."""

    def __init__(self, code: str, words: str, *fields: str) -> None:
        super().__init__(words)
        self.code, self.words, self.fields = code, words, list(fields)


class Rows:
    """Every object of an org, by API name."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    def upsert(self, object_name: str, key: str, row: dict[str, Any]) -> tuple[str, bool]:
        """Write one row; gives the record's id, and whether it is new."""
        target = self.objects[object_name]
        given = {name: value for name, value in row.items() if name != "attributes"}
        values = dict(self._value(target, name, value) for name, value in given.items())
        held = next((r for r in target.records.values() if r.get(key) == values[key]), None)
        required = [
            one.name
            for one in target.fields.values()
            if one.required and (held or {} | values).get(one.name) is None
        ]
        if required:
            words = f"Required fields are missing: [{', '.join(required)}]"
            raise RowError("REQUIRED_FIELD_MISSING", words, *required)
        if held is None:
            record_id = f"a0{next(_ids):016}"
            unchecked = {f.name: False for f in target.fields.values() if f.kind == "boolean"}
            target.records[record_id] = {"Id": record_id} | unchecked | values
            return record_id, True
        held.update(values)
        return str(held["Id"]), False

    def _value(self, target: Object, name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - JSON
        """A field and what it will hold; a parent is named by one of its external IDs."""
        if isinstance(value, dict):
            return self._parent(target, name, value)
        found = target.fields.get(name)
        if found is None:
            words = f"No such column '{name}' on sobject of type {target.name}"
            raise RowError("INVALID_FIELD", words)
        if found.locked:
            words = f"Unable to create/update fields: {name}. Please check the security settings"
            raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", words, name)
        return name, held_as(found, value)

    def _parent(self, target: Object, relation: str, value: dict[str, str]) -> tuple[str, str]:
        lookup = self.lookup(target, relation)
        ((key, wanted),) = value.items()
        parent = self.objects[lookup.target]
        if not (key in parent.fields and parent.fields[key].key):
            raise RowError("INVALID_FIELD", f"{key} is no external ID of {parent.name}")
        for record_id, record in parent.records.items():
            if record.get(key) == wanted:
                return lookup.name, record_id
        words = f"Foreign key external ID: {wanted} not found for field {key} in entity"
        raise RowError("INVALID_FIELD", f"{words} {parent.name}")

    @staticmethod
    def lookup(target: Object, relation: str) -> Field:
        """The lookup behind a relationship's name."""
        name = re.sub("__r$", "__c", relation)
        found = target.fields.get(name if name != relation else f"{relation}Id")
        if found is None or not found.target:
            raise RowError("INVALID_FIELD", f"{relation} is no relationship of {target.name}")
        return found

    def select(self, soql: str) -> tuple[list[str], list[list[Any]]]:
        """Answer the one form of query that a sync asks: what is selected, and each record's."""
        found = re.fullmatch(r"SELECT (.+) FROM (\w+) WHERE (.+)", soql)
        assert found, soql
        paths, target = found[1].split(", "), self.objects[found[2]]
        records = [r for r in target.records.values() if self._meets(target, r, found[3])]
        return paths, [[self._read(target, r, path) for path in paths] for r in records]

    def _meets(self, target: Object, record: dict[str, Any], where: str) -> bool:
        """Whether all conditions hold; one may be that a field is empty or else among these."""
        for path, listed, other in _AMONG.findall(where):
            value = self._read(target, record, path)
            among = value in {_ESCAPED.sub(r"\1", text[1:-1]) for text in _TEXT.findall(listed)}
            if not (among or (other and self._read(target, record, other) is None)):
                return False
        filled = _FILLED.findall(_AMONG.sub("", where))
        assert filled or _AMONG.search(where), where
        return all(self._read(target, record, path) is not None for path in filled)

    def _read(self, target: Object, record: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
        relation, dot, name = path.partition(".")
        if not dot:
            assert path in target.fields, path
            return record.get(path)
        lookup = self.lookup(target, relation)
        parent = self.objects[lookup.target].records.get(record.get(lookup.name) or "", {})
        return parent.get(name)


def held_as(field: Field, value: Any) -> Any:  # noqa: ANN401 - JSON
    """What a field makes of a value, whether it came as JSON or as the text of a CSV cell."""
    if isinstance(value, str):
        value = value.strip() or None
    if value is None:
        return False if field.kind == "boolean" else None
    try:
        return _READ.get(field.kind, _text)(field, value)
    except (ValueError, KeyError, InvalidOperation):
        raise _mistyped(field, value) from None


def _mistyped(field: Field, value: object) -> RowError:
    words = f"{field.label}: value not of required type: {value}"
    return RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", words, field.name)


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise _mistyped(field, value)
    if field.size and len(value) > field.size[0]:
        words = f"{field.label}: data value too large: {value[:40]} (max length={field.size[0]})"
        raise RowError("STRING_TOO_LONG", words, field.name)
    return value


def _choice(field: Field, value: object) -> str:
    if field.choices and value not in field.choices:
        words = f"{field.label}: bad value for restricted picklist field: {value}"
        raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", words, field.name)
    return str(value)


def _number(field: Field, value: object) -> Decimal:
    if isinstance(value, bool):
        raise _mistyped(field, value)
    number = Decimal(str(value))
    if abs(number) >= Decimal(10) ** field.size[0]:
        raise RowError("NUMBER_OUTSIDE_VALID_RANGE", f"{field.label}: {value}", field.name)
    return number


def _checked(field: Field, value: object) -> bool:
    return {"true": True, "false": False}[str(value).lower()]


def _day(field: Field, value: object) -> str:
    return date.fromisoformat(str(value)).isoformat()


def _moment(field: Field, value: object) -> str:
    moment = datetime.fromisoformat(str(value)).astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}+0000"


_READ = {
    "double": _number,
    "boolean": _checked,
    "date": _day,
    "datetime": _moment,
    "picklist": _choice,
}
