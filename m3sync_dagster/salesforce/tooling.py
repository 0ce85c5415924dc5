"""What an org says of itself beside its records: packages, objects, and fields it may hide.

Sources: Tooling API Developer Guide, "InstalledSubscriberPackage" and "CustomField"; REST API
Developer Guide, "Describe Global".
"""

from typing import Any

import msgspec

from m3sync_dagster.discovery.mapping_proposal import KnownObject, Package
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.plan import quoted
from m3sync_dagster.sync.salesforce_schema import SalesforceObject


class _Page(msgspec.Struct, rename="camel"):
    """A page of a query's records."""

    records: list[dict[str, Any]]
    done: bool = True
    next_records_url: str | None = None


class _Objects(msgspec.Struct):
    """The answer to a global describe."""

    sobjects: list[dict[str, Any]]


def installed_packages(transport: Transport) -> list[Package] | None:
    """List the managed packages that are installed; ``None`` where this user may not ask.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    found = _records(
        transport,
        "SELECT SubscriberPackage.Name, SubscriberPackage.NamespacePrefix "
        "FROM InstalledSubscriberPackage",
    )
    if found is None:
        return None
    packages = [record.get("SubscriberPackage") or {} for record in found]
    return [
        Package(str(package.get("Name") or ""), str(package["NamespacePrefix"]))
        for package in packages
        if package.get("NamespacePrefix")
    ]


def known_objects(transport: Transport) -> list[KnownObject]:
    """List every object that this user sees, custom settings and what is withdrawn apart.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    answer = transport.fetch("GET", "/sobjects", _Objects)
    return [
        KnownObject(str(one["name"]), str(one.get("label") or ""))
        for one in answer.sobjects
        if one.get("name") and not (one.get("customSetting") or one.get("deprecatedAndHidden"))
    ]


def custom_fields(transport: Transport, described: SalesforceObject) -> frozenset[str] | None:
    """Name an object's custom fields, whatever field-level security hides.

    An answer that lacks a field which the describe shows is not the whole truth, and so is none.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    found = _records(
        transport,
        "SELECT DeveloperName, NamespacePrefix FROM CustomField "  # noqa: S608 - it is quoted
        f"WHERE EntityDefinition.QualifiedApiName = {quoted(described.name)}",
    )
    names = frozenset(_api_name(record) for record in found or ())
    shown = {name for name in described.fields if name.endswith("__c")}
    return names if shown <= names and names else None


def _api_name(record: dict[str, Any]) -> str:
    prefix = record.get("NamespacePrefix")
    return f"{prefix}__{record['DeveloperName']}__c" if prefix else f"{record['DeveloperName']}__c"


def _records(transport: Transport, soql: str) -> list[dict[str, Any]] | None:
    """Ask the Tooling API; ``None`` where it refuses, as it does users without setup rights."""
    try:
        page = transport.fetch("GET", "/tooling/query", _Page, params={"q": soql})
        records = page.records
        while not page.done and page.next_records_url:
            path = "/tooling/query/" + page.next_records_url.rsplit("/", 1)[-1]
            page = transport.fetch("GET", path, _Page)
            records += page.records
    except (ConfigurationError, RemoteError):
        # It would be good to know, and nothing depends on it.
        return None
    return records
