"""Reading an org's installed packages, its objects, and its custom fields.

Sources: Tooling API Developer Guide, "InstalledSubscriberPackage" and "CustomField"; REST API
Developer Guide, "Describe Global".
"""

import msgspec

from m3sync_dagster.discovery.package_objects import KnownObject, Package
from m3sync_dagster.salesforce.soql import INSTALLED_PACKAGES, custom_fields_query
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.salesforce_schema import SalesforceObject


class _Package(msgspec.Struct, rename="pascal"):
    name: str | None = None
    namespace_prefix: str | None = None


class _Record(msgspec.Struct, rename="pascal"):
    """A record of either query."""

    subscriber_package: _Package | None = None
    developer_name: str | None = None
    namespace_prefix: str | None = None


class _Page(msgspec.Struct, rename="camel"):
    """A page of a query's records."""

    records: list[_Record]
    done: bool = True
    next_records_url: str | None = None


class _Object(msgspec.Struct, rename="camel"):
    name: str | None = None
    label: str | None = None
    custom_setting: bool | None = None
    deprecated_and_hidden: bool | None = None


class _Objects(msgspec.Struct):
    """The response of a global describe."""

    sobjects: list[_Object]


def installed_packages(transport: Transport) -> list[Package] | None:
    """List the installed managed packages; ``None`` where this user may not read them.

    Raises:
        SyncError: Salesforce could not be reached, or rejected the request.
    """
    found = _records(transport, INSTALLED_PACKAGES)
    if found is None:
        return None
    packages = [record.subscriber_package or _Package() for record in found]
    return [
        Package(package.name or "", package.namespace_prefix)
        for package in packages
        if package.namespace_prefix
    ]


def known_objects(transport: Transport) -> list[KnownObject]:
    """List every object that is visible to this user, without custom settings and hidden objects.

    Raises:
        SyncError: Salesforce could not be reached, or rejected the request.
    """
    response = transport.fetch("GET", "/sobjects", _Objects)
    return [
        KnownObject(one.name, one.label or "")
        for one in response.sobjects
        if one.name and not (one.custom_setting or one.deprecated_and_hidden)
    ]


def custom_fields(transport: Transport, described: SalesforceObject) -> frozenset[str] | None:
    """List an object's custom fields, including those that field-level security hides.

    ``None`` where the list could not be read, or lacks a field that the describe shows.

    Raises:
        SyncError: Salesforce could not be reached, or rejected the request.
    """
    found = _records(transport, custom_fields_query(described.name))
    names = frozenset(_api_name(record) for record in found or ())
    shown = {name for name in described.fields if name.endswith("__c")}
    return names if shown <= names and names else None


def _api_name(field: _Record) -> str:
    name = f"{field.developer_name}__c"
    return f"{field.namespace_prefix}__{name}" if field.namespace_prefix else name


def _records(transport: Transport, soql: str) -> list[_Record] | None:
    """Query the Tooling API; ``None`` where it fails, as it does for users without setup access."""
    try:
        page = transport.fetch("GET", "/tooling/query", _Page, params={"q": soql})
        records = page.records
        while not page.done and page.next_records_url:
            path = "/tooling/query/" + page.next_records_url.rsplit("/", 1)[-1]
            page = transport.fetch("GET", path, _Page)
            records += page.records
    except (ConfigurationError, RemoteError):
        # The records are optional: without them the caller knows less, and works on.
        return None
    return records
