"""Reading an org's describe of an object as a ``SalesforceObject``."""

from collections.abc import Mapping
from typing import Any, TypedDict
from urllib.parse import quote

import msgspec

from m3sync_dagster.salesforce.error_classification import NotFoundError
from m3sync_dagster.salesforce.responses import NOT_MODIFIED, decode
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.interfaces import DescribeCache
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject


class PicklistEntry(TypedDict, total=False):
    """A value of a picklist."""

    value: str | None
    active: bool


class FieldDescribeJson(TypedDict, total=False):
    """The properties of a field that m3sync reads."""

    name: str | None
    label: str | None
    type: str | None
    length: int | None
    precision: int | None
    scale: int | None
    nillable: bool | None
    createable: bool | None
    updateable: bool | None
    filterable: bool | None
    externalId: bool | None
    unique: bool | None
    caseSensitive: bool | None
    restrictedPicklist: bool | None
    defaultedOnCreate: bool | None
    referenceTo: list[str] | None
    relationshipName: str | None
    picklistValues: list[PicklistEntry] | None


class ObjectDescribeJson(TypedDict, total=False):
    """The properties of a describe that m3sync reads."""

    name: str | None
    label: str | None
    createable: bool | None
    updateable: bool | None
    fields: list[FieldDescribeJson] | None


class DescribeReader:
    """Reads describes, each once per run unless the caller asks for a refresh.

    Args:
        transport: the org.
        cache: describes of earlier runs; Salesforce sends a describe again only if it has changed.
    """

    def __init__(self, transport: Transport, cache: DescribeCache | None) -> None:
        self._transport = transport
        self._cache = cache
        self._known: dict[str, SalesforceObject] = {}
        self._stored: dict[str, tuple[bytes, str] | None] = {}

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        """Describe an object.

        Args:
            object_name: API name.
            refresh: read the describe again, without any cache.

        Raises:
            ConfigurationError: the object does not exist, or is hidden from this user;
                Salesforce responds in the same way to both.
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        if refresh or object_name not in self._known:
            self._known[object_name] = parse_object(object_name, self._read(object_name, refresh))
        return self._known[object_name]

    def cached(self, object_name: str) -> SalesforceObject | None:
        """The last describe of an object that this run or an earlier one has read."""
        if object_name in self._known:
            return self._known[object_name]
        stored = self._read_stored(object_name)
        return parse_object(object_name, _decode(stored[0])) if stored else None

    def _read_stored(self, object_name: str) -> tuple[bytes, str] | None:
        if object_name not in self._stored:
            self._stored[object_name] = self._cache.read(object_name) if self._cache else None
        return self._stored[object_name]

    def _read(self, object_name: str, refresh: bool) -> ObjectDescribeJson:  # noqa: FBT001 - as in ``describe``
        """Source: REST API Developer Guide, "Get Object Metadata Changes"."""
        path = f"/sobjects/{quote(object_name, safe='')}/describe"
        stored = None if refresh else self._read_stored(object_name)
        since = {"If-Modified-Since": stored[1]} if stored and stored[1] else {}
        try:
            response = self._transport.call("GET", path, headers=since)
        except NotFoundError:
            raise ConfigurationError(
                f"The Salesforce object {object_name} does not exist, or is hidden from the "
                "integration user",
                "Deploy the objects with `m3sync salesforce deploy`, assign the m3sync permission "
                "set to the integration user, or correct `object:` in the integration.",
            ) from None
        if response.status_code == NOT_MODIFIED and stored:
            return _decode(stored[0])
        described = decode(response, ObjectDescribeJson)
        if self._cache:
            last_modified = response.headers.get("Last-Modified", "")
            self._cache.write(object_name, response.content, last_modified)
        return described


def _decode(stored: bytes) -> ObjectDescribeJson:
    return msgspec.json.decode(stored, type=ObjectDescribeJson)


def parse_object(object_name: str, described: ObjectDescribeJson) -> SalesforceObject:
    """Read the JSON of a describe; missing properties get the defaults of ``SalesforceObject``."""
    fields = (parse_field(field) for field in described.get("fields") or () if field.get("name"))
    return SalesforceObject(
        name=described.get("name") or object_name,
        label=described.get("label") or object_name,
        fields={field.name: field for field in fields},
        createable=described.get("createable") is not False,
        updateable=described.get("updateable") is not False,
    )


_PROPERTIES = {
    "type": "type",
    "length": "length",
    "precision": "precision",
    "scale": "scale",
    "nillable": "nillable",
    "createable": "createable",
    "updateable": "updateable",
    "filterable": "filterable",
    "external_id": "externalId",
    "unique": "unique",
    "case_sensitive": "caseSensitive",
    "restricted": "restrictedPicklist",
    "defaulted": "defaultedOnCreate",
    "label": "label",
}
"""Attributes of ``SalesforceField``, and the describe properties that they copy."""


def parse_field(field: FieldDescribeJson) -> SalesforceField:
    """Read one entry of a describe's ``fields``."""
    properties: Mapping[str, object] = field
    given: dict[str, Any] = {
        ours: properties[theirs]
        for ours, theirs in _PROPERTIES.items()
        if properties.get(theirs) is not None
    }
    return SalesforceField(
        name=str(field["name"]),
        refers_to=tuple(field.get("referenceTo") or ()),
        relationship=_relationship(field),
        picklist=tuple(
            str(entry["value"])
            for entry in field.get("picklistValues") or ()
            if entry.get("active", True) and entry.get("value") is not None
        ),
        **{"type": "string"} | given,
    )


def _relationship(field: FieldDescribeJson) -> str | None:
    """The name of a lookup's relationship; for a custom field it follows from the field's name."""
    if field.get("type") != "reference":
        return None
    name = str(field["name"])
    derived = f"{name.removesuffix('__c')}__r" if name.endswith("__c") else None
    return field.get("relationshipName") or derived
