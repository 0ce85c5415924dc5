"""Reading what an org says of an object into the sync's own words."""

from typing import Any
from urllib.parse import quote

import msgspec

from m3sync_dagster.salesforce.answers import NOT_MODIFIED, decode
from m3sync_dagster.salesforce.errors import NotFoundError
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.interfaces import DescribeCache
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject


class Describer:
    """Asks an org about its objects, each at most once in a run unless told to.

    Args:
        transport: the way to the org.
        cache: what it said in earlier runs; only what has changed since is sent again.
    """

    def __init__(self, transport: Transport, cache: DescribeCache | None) -> None:
        self._transport = transport
        self._cache = cache
        self._known: dict[str, SalesforceObject] = {}

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        """Read what the org says of an object now.

        Args:
            object_name: API name.
            refresh: ask even for what would be unchanged since it was last read.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it;
                Salesforce does not tell these apart.
            SyncError: Salesforce could not be asked.
        """
        if refresh or object_name not in self._known:
            self._known[object_name] = parse_object(object_name, self._ask(object_name, refresh))
        return self._known[object_name]

    def cached(self, object_name: str) -> SalesforceObject | None:
        """Give what was last read of an object, by this run or an earlier one."""
        if object_name in self._known:
            return self._known[object_name]
        held = self._cache.read(object_name) if self._cache else None
        return parse_object(object_name, msgspec.json.decode(held[0])) if held else None

    def _ask(self, object_name: str, refresh: bool) -> dict[str, Any]:  # noqa: FBT001 - as described
        """Source: REST API Developer Guide, "Get Object Metadata Changes"."""
        path = f"/sobjects/{quote(object_name, safe='')}/describe"
        held = None if refresh or self._cache is None else self._cache.read(object_name)
        since = {"If-Modified-Since": held[1]} if held and held[1] else {}
        try:
            response = self._transport.call("GET", path, headers=since)
        except NotFoundError:
            raise ConfigurationError(
                f"The Salesforce org shows this user no object {object_name}; whether it does not "
                "exist or is hidden, Salesforce does not tell",
                "Deploy the objects with `m3sync salesforce deploy`, assign the m3sync permission "
                "set to the integration user, or correct `object:` in the integration.",
            ) from None
        if response.status_code == NOT_MODIFIED and held:
            return dict(msgspec.json.decode(held[0]))
        answer = decode(response, dict[str, Any])
        if self._cache:
            last_modified = response.headers.get("Last-Modified", "")
            self._cache.write(object_name, response.content, last_modified)
        return answer


def parse_object(object_name: str, answer: dict[str, Any]) -> SalesforceObject:
    """Read the JSON of a describe; what it leaves out gets the defaults of the ports."""
    fields = (parse_field(field) for field in answer.get("fields") or () if field.get("name"))
    return SalesforceObject(
        name=answer.get("name") or object_name,
        label=answer.get("label") or object_name,
        fields={field.name: field for field in fields},
        createable=answer.get("createable") is not False,
        updateable=answer.get("updateable") is not False,
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
"""Ours to describe's, where the value is taken as it is."""


def parse_field(field: dict[str, Any]) -> SalesforceField:
    """Read one entry of a describe's ``fields``."""
    given = {
        ours: field[theirs] for ours, theirs in _PROPERTIES.items() if field.get(theirs) is not None
    }
    return SalesforceField(
        name=field["name"],
        refers_to=tuple(field.get("referenceTo") or ()),
        relationship=_relationship(field),
        picklist=tuple(
            entry["value"]
            for entry in field.get("picklistValues") or ()
            if entry.get("active", True) and entry.get("value") is not None
        ),
        **{"type": "string"} | given,
    )


def _relationship(field: dict[str, Any]) -> str | None:
    """The name of a lookup's relationship; a custom one's follows from the field's name."""
    if field.get("type") != "reference":
        return None
    name = str(field["name"])
    derived = f"{name.removesuffix('__c')}__r" if name.endswith("__c") else None
    return field.get("relationshipName") or derived
