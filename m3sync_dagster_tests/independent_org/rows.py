"""The org's records: how rows are written, rejected, and read."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any

from m3sync_dagster_tests.independent_org.schema import Field, Object

_ids = count(1)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_ESCAPED = re.compile(r"\\(.)")
_IN_LIST = re.compile(
    rf"\(?([\w.]+) IN \(({_TEXT.pattern}(?:, ?{_TEXT.pattern})*)\)(?: OR ([\w.]+) = null\))?"
)
_NOT_NULL = re.compile(r"([\w.]+) != null")


class RowError(Exception):
    """Why a row is rejected: status code, message, and the fields concerned."""

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.code, self.message, self.fields = code, message, list(fields)


def _new_id(object_name: str) -> str:
    """A new Id. Its last three characters encode the case of the others: here, no capitals."""
    prefix = "001" if object_name == "Account" else "a00"
    return f"{prefix}{next(_ids):012}AAA"


class Rows:
    """Every object of an org, by API name."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    def upsert(self, object_name: str, key: str, row: dict[str, Any]) -> tuple[str, bool]:
        """Write one row; return the record's id, and whether it is new."""
        target = self.objects[object_name]
        given = {name: value for name, value in row.items() if name != "attributes"}
        values = dict(self._value(target, name, value) for name, value in given.items())
        existing = next((r for r in target.records.values() if r.get(key) == values[key]), None)
        required = [
            one.name
            for one in target.fields.values()
            if one.required and (existing or {} | values).get(one.name) is None
        ]
        if required:
            message = f"Required fields are missing: [{', '.join(required)}]"
            raise RowError("REQUIRED_FIELD_MISSING", message, *required)
        if existing is None:
            record_id = _new_id(object_name)
            unchecked = {f.name: False for f in target.fields.values() if f.kind == "boolean"}
            target.records[record_id] = {"Id": record_id} | unchecked | values
            return record_id, True
        existing.update(values)
        return str(existing["Id"]), False

    def update(self, record_id: str, row: dict[str, Any]) -> str:
        """Change fields of one record; return its id."""
        for target in self.objects.values():
            if record_id in target.records:
                given = {n: v for n, v in row.items() if n not in {"attributes", "id", "Id"}}
                values = dict(self._value(target, name, value) for name, value in given.items())
                target.records[record_id].update(values)
                return record_id
        raise RowError("ENTITY_IS_DELETED", "entity is deleted")

    def retrieve(
        self, object_name: str, ids: list[str], names: list[str]
    ) -> list[dict[str, Any] | None]:
        """Some fields of each record; ``None`` where there is none with this id."""
        found = [self.objects[object_name].records.get(one) for one in ids]
        return [record and {name: record.get(name) for name in names} for record in found]

    def _value(self, target: Object, name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - JSON
        """A field and its new value; a parent is identified by its external ID."""
        if isinstance(value, dict):
            return self._parent(target, name, value)
        found = target.fields.get(name)
        if found is None:
            message = f"No such column '{name}' on sobject of type {target.name}"
            raise RowError("INVALID_FIELD", message)
        if found.locked:
            message = f"Unable to create/update fields: {name}. Please check the security settings"
            raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, name)
        if found.target and value not in (None, ""):
            return name, self._by_id(found, str(value))
        return name, stored(found, value)

    def _by_id(self, lookup: Field, wanted: str) -> str:
        """The Id of 18 characters of the record that a lookup is set to."""
        for record_id in self.objects[lookup.target].records:
            if wanted in (record_id, record_id[:15]):
                return record_id
        raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")

    def _parent(self, target: Object, relation: str, value: dict[str, str]) -> tuple[str, str]:
        lookup = self.lookup(target, relation)
        ((key, wanted),) = value.items()
        parent = self.objects[lookup.target]
        if not (key in parent.fields and parent.fields[key].key):
            raise RowError("INVALID_FIELD", f"{key} is no external ID of {parent.name}")
        for record_id, record in parent.records.items():
            if record.get(key) == wanted:
                return lookup.name, record_id
        message = f"Foreign key external ID: {wanted} not found for field {key} in entity"
        raise RowError("INVALID_FIELD", f"{message} {parent.name}")

    @staticmethod
    def lookup(target: Object, relation: str) -> Field:
        """The lookup behind a relationship's name."""
        name = re.sub("__r$", "__c", relation)
        found = target.fields.get(name if name != relation else f"{relation}Id")
        if found is None or not found.target:
            raise RowError("INVALID_FIELD", f"{relation} is no relationship of {target.name}")
        return found

    def select(self, soql: str) -> tuple[list[str], list[list[Any]]]:
        """Run a query as a sync sends it: the selected paths, and the values of each record."""
        found = re.fullmatch(r"SELECT (.+) FROM (\w+) WHERE (.+)", soql)
        assert found, soql
        paths, target = found[1].split(", "), self.objects[found[2]]
        records = [r for r in target.records.values() if self._meets(target, r, found[3])]
        return paths, [[self._read(target, r, path) for path in paths] for r in records]

    def _meets(self, target: Object, record: dict[str, Any], where: str) -> bool:
        """Whether a record meets all conditions; one may be a list of values, or null."""
        for path, listed, other in _IN_LIST.findall(where):
            value = self._read(target, record, path)
            listed_value = value in {
                _ESCAPED.sub(r"\1", text[1:-1]) for text in _TEXT.findall(listed)
            }
            if not (listed_value or (other and self._read(target, record, other) is None)):
                return False
        not_null = _NOT_NULL.findall(_IN_LIST.sub("", where))
        assert not_null or _IN_LIST.search(where), where
        return all(self._read(target, record, path) is not None for path in not_null)

    def _read(self, target: Object, record: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
        relation, dot, name = path.partition(".")
        if not dot:
            assert path in target.fields, path
            return record.get(path)
        lookup = self.lookup(target, relation)
        parent = self.objects[lookup.target].records.get(record.get(lookup.name) or "", {})
        return parent.get(name)


def stored(field: Field, value: Any) -> Any:  # noqa: ANN401 - JSON
    """The stored form of a value, which comes from JSON or from a CSV cell."""
    if isinstance(value, str):
        value = value.strip() or None
    if value is None:
        return False if field.kind == "boolean" else None
    try:
        return _READ.get(field.kind, _text)(field, value)
    except (ValueError, KeyError, InvalidOperation):
        raise _mistyped(field, value) from None


def _mistyped(field: Field, value: object) -> RowError:
    message = f"{field.label}: value not of required type: {value}"
    return RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, field.name)


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise _mistyped(field, value)
    # In UTF-16 code units, as Salesforce Help 005166849 says of formulas and Apex.
    if field.size and len(value.encode("utf-16-le")) > 2 * field.size[0]:
        message = f"{field.label}: data value too large: {value[:40]} (max length={field.size[0]})"
        raise RowError("STRING_TOO_LONG", message, field.name)
    return value


def _choice(field: Field, value: object) -> str:
    if field.choices and value not in field.choices:
        message = f"{field.label}: bad value for restricted picklist field: {value}"
        raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, field.name)
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
