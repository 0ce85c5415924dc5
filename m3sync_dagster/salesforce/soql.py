"""The text of every SOQL query that m3sync sends, and the only place that quotes values for SOQL.

Names of objects and fields come from the org's own describe or from this file; values are quoted.

Sources: SOQL and SOSL Reference, "Quoted String Escape Sequences" and "Relationship Queries";
Object Reference for the Salesforce Platform, "Organization"; Tooling API Developer Guide,
"InstalledSubscriberPackage" and "CustomField".
"""

from collections.abc import Iterator

from m3sync_dagster.sync.reconcile_types import Selection
from m3sync_dagster.sync.row_types import Column, Target

ORGANIZATION = "SELECT Id, Name, IsSandbox, InstanceName FROM Organization"
INSTALLED_PACKAGES = (
    "SELECT SubscriberPackage.Name, SubscriberPackage.NamespacePrefix "
    "FROM InstalledSubscriberPackage"
)


def custom_fields_query(object_name: str) -> str:
    """Write the Tooling API query for the custom fields of an object."""
    return _format(
        "SELECT DeveloperName, NamespacePrefix FROM CustomField "
        "WHERE EntityDefinition.QualifiedApiName = {}",
        object_name,
    )


def records_query(target: Target, only: Selection | None) -> str:
    """Write the query for records of a target.

    It has no order and no limit, so that Salesforce can split a query job into chunks.

    Args:
        target: the object and its columns.
        only: the records to read; ``None`` for all that have an external ID.
    """
    key = target.external_id_field
    fields = ", ".join(["Id", key, *map(column_path, target.columns)])
    conditions = " AND ".join(_conditions(key, only))
    return f"SELECT {fields} FROM {target.object} WHERE {conditions}"  # noqa: S608 - names of the org


def ids_query(object_name: str, field: str, values: list[str]) -> str:
    """Write the query for the Ids of the records that have one of these values in a field."""
    return _format(
        "SELECT Id, {:literal} FROM {:literal} WHERE {:literal} IN {}",
        field,
        object_name,
        field,
        values,
    )


def column_path(column: Column) -> str:
    """The SOQL name of a column; for a lookup, the external ID of the parent."""
    if column.relationship:
        return f"{column.relationship}.{column.parent_external_id}"
    return column.field


def _conditions(key: str, only: Selection | None) -> Iterator[str]:
    if only is None:
        yield f"{key} != null"
        return
    field = only.column.field
    path = column_path(only.column)
    listed = [_format("{:literal} IN {}", path, list(only.ids))] if only.ids else []
    empty = [f"{field} = null"] if only.or_empty else []
    yield f"({' OR '.join([*listed, *empty])})"
    if field not in {"Id", key}:
        yield f"{key} != null"


def _format(template: str, *values: str | list[str]) -> str:
    """Fill in values: quoted, or unchanged where the template says ``:literal``."""
    from simple_salesforce.format import format_soql  # noqa: PLC0415 - slow to import

    return str(format_soql(template, *values))
