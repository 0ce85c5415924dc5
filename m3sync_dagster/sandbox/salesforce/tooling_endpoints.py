"""``/tooling/query``: installed packages and custom fields, including fields without visibility.

Source: Salesforce Tooling API guide, "InstalledSubscriberPackage" and "CustomField"; both need
the permission View Setup and Configuration.
"""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.computed_objects import RecordSources, select_computed
from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.http import json_response, org_of
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.org_and_user import ComputedRecord
from m3sync_dagster.sandbox.salesforce.soql import malformed, parse


async def query(request: Request) -> Response:
    """``GET .../tooling/query?q=``."""
    org, text = org_of(request), request.query_params.get("q")
    if not text:
        raise malformed("A query string has to be specified")
    select = parse(text)
    found = select_computed(org, select, _SOURCES) if org.setup_readable else None
    if found is None:
        message = f"sObject type '{select.object}' is not supported."
        raise ApiError(400, "INVALID_TYPE", message)
    return json_response(found)


def _packages(org: Org) -> Iterator[ComputedRecord]:
    for package in org.packages:
        yield {
            "SubscriberPackage.Name": package.name,
            "SubscriberPackage.NamespacePrefix": package.namespace,
        }


def _custom_fields(org: Org) -> Iterator[ComputedRecord]:
    for definition in org.schema:
        for field in definition.fields.values():
            if field.name.endswith("__c"):
                name = field.name.removesuffix("__c")
                prefix, _, bare = name.rpartition("__")
                yield {
                    "DeveloperName": bare,
                    "NamespacePrefix": prefix or None,
                    "EntityDefinition.QualifiedApiName": definition.name,
                }


_SOURCES: RecordSources = {
    "installedsubscriberpackage": _packages,
    "customfield": _custom_fields,
}
