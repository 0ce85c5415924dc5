"""Finds the field that each column of a row sets, and how its values are read.

Source: Salesforce Bulk API 2.0 guide, "Relationship Fields in a Header Row"; REST API guide,
"Insert or Update (Upsert) a Record Using an External ID".
"""

from dataclasses import dataclass

from m3sync_dagster.sandbox.salesforce.errors import RowError
from m3sync_dagster.sandbox.salesforce.field_values import Reader, Value, reader_of
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.schema import USER, FieldDef


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows: the field it sets, where the value is stored, and how it is read."""

    name: str
    field: FieldDef
    slot: int
    read: Reader


class NoSuchColumnError(Exception):
    """No field that the sync user sees has the column's name."""


def column_of(org: Org, table: Table, name: str) -> Column:
    """Finds the field that a column sets: ``Amount__c`` or ``Account__r.m3ter_Id__c``.

    Raises:
        NoSuchColumnError: there is no such field, or the user does not see it.
    """
    relationship, dot, parent_field = name.partition(".")
    definition = table.definition
    found = definition.find_lookup(relationship) if dot else definition.find(name)
    if found is None:
        raise NoSuchColumnError(name)
    read = _by_external_id(org, found, parent_field, name) if dot else _reader(org, found)
    return Column(name, found, table.slot(found), read)


def _reader(org: Org, definition: FieldDef) -> Reader:
    if not (definition.createable and definition.updateable):
        return _read_only(definition)
    return _by_id(org, definition) if definition.refers_to else reader_of(definition)


def _read_only(definition: FieldDef) -> Reader:
    def read(_: object) -> Value:
        message = (
            f"Unable to create/update fields: {definition.name}. Please check the security settings"
            " of this field and verify that it is read/write for your profile or permission set."
        )
        raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, definition.name)

    return read


def _by_id(org: Org, definition: FieldDef) -> Reader:
    if definition.refers_to == USER:
        return _user_reader(org, definition)
    parents = org.table(definition.refers_to or "")

    def read(raw: object) -> Value:
        if raw is None:
            return None
        number = parents.number_of(str(raw))
        if number is None:
            raise _wrong_id(definition, raw)
        return parents.id_of(number)

    return read


def _wrong_id(definition: FieldDef, raw: object) -> RowError:
    message = f"{definition.label}: id value of incorrect type: {raw}"
    return RowError("MALFORMED_ID", message, definition.name)


def _user_reader(org: Org, definition: FieldDef) -> Reader:
    """Reads the owner: only the integration user can be it, so nothing is stored."""
    accepted = {org.identity.user_id, org.identity.user_id[:15]}

    def read(raw: object) -> Value:
        if raw is not None and str(raw) not in accepted:
            raise _wrong_id(definition, raw)
        return None

    return read


def _by_external_id(org: Org, lookup: FieldDef, parent_field: str, name: str) -> Reader:
    """Sets a lookup by the external ID of its parent record."""
    if lookup.refers_to == USER:
        raise NoSuchColumnError(name)
    parents = org.table(lookup.refers_to or "")
    key = parents.definition.find(parent_field)
    if key is None or not key.id_lookup:
        raise NoSuchColumnError(name)
    if not (lookup.createable and lookup.updateable):
        return _read_only(lookup)
    index = parents.index(key)
    parent = parents.definition.name

    def read(raw: object) -> Value:
        if raw is None:
            return None
        found = index.find(str(raw))
        if len(found) == 1:
            return parents.id_of(found[0])
        if found:
            raise duplicate_external_id(key.name, str(raw))
        message = (
            f"Foreign key external ID: {raw} not found for field {key.name} in entity {parent}"
        )
        raise RowError("INVALID_FIELD", message)

    return read


def duplicate_external_id(name: str, value: str) -> RowError:
    """The error for an external ID that more than one record has."""
    message = f"{name}: more than one record found for external id field: {value}"
    return RowError("DUPLICATE_EXTERNAL_ID", message, name)
