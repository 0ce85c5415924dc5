"""``/tooling/query``: what the Tooling API tells of packages and of fields, hidden ones included.

Source: Salesforce Tooling API guide, "InstalledSubscriberPackage" and "CustomField"; both need
the permission View Setup and Configuration.
"""

from collections.abc import Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.http import JsonObject, answer, org_of
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.soql import (
    Comparison,
    Condition,
    Junction,
    malformed,
    parse,
)

Flat = dict[str, str | None]
"""A record by the paths of its values."""


async def query(request: Request) -> Response:
    """``GET .../tooling/query?q=``."""
    org, text = org_of(request), request.query_params.get("q")
    if not text:
        raise malformed("A query string has to be specified")
    select = parse(text)
    source = _SOURCES.get(select.object.casefold())
    if source is None or not org.setup_readable:
        message = f"sObject type '{select.object}' is not supported."
        raise ApiError(400, "INVALID_TYPE", message)
    found = [flat for flat in source(org) if select.where is None or _holds(select.where, flat)]
    records = [_nested(select.object, flat, select.paths) for flat in found]
    return answer({"size": len(found), "totalSize": len(found), "done": True, "records": records})


def _packages(org: Org) -> Iterator[Flat]:
    for package in org.packages:
        yield {
            "SubscriberPackage.Name": package.name,
            "SubscriberPackage.NamespacePrefix": package.namespace,
        }


def _custom_fields(org: Org) -> Iterator[Flat]:
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


_SOURCES: dict[str, Callable[[Org], Iterator[Flat]]] = {
    "installedsubscriberpackage": _packages,
    "customfield": _custom_fields,
}


def _holds(condition: Condition, flat: Flat) -> bool:
    if isinstance(condition, Junction) and condition.word == "and":
        return all(_holds(part, flat) for part in condition.parts)
    if isinstance(condition, Comparison) and condition.operator == "=":
        held = str(flat.get(condition.path)).casefold()
        return held == str(condition.values[0].value).casefold()
    raise ApiError(400, "MALFORMED_QUERY", "Only equals comparisons permitted")


def _nested(name: str, flat: Flat, paths: list[str]) -> JsonObject:
    record: JsonObject = {"attributes": {"type": name}}
    for path in paths:
        if path not in flat:
            raise ApiError(400, "INVALID_FIELD", f"No such column '{path}' on entity '{name}'")
        outer, _, inner = path.partition(".")
        if inner:
            record.setdefault(outer, {})[inner] = flat[path]
        else:
            record[outer] = flat[path]
    return record
