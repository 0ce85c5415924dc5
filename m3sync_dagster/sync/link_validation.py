"""Comparing a lookup to a record of the CRM with the org's describes."""

from collections.abc import Iterator

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding

_DEPLOY = "m3sync salesforce deploy NAME --account-link, with the integration as NAME,"


def link_findings(mapping: FieldMapping, described: SalesforceObject) -> Iterator[SchemaFinding]:
    """Find what is wrong with the lookup itself.

    Args:
        mapping: of accounts.
        described: the object that has the lookup.
    """
    link = mapping.link
    if link is None:
        return
    field = described.fields.get(link.field)
    place = f"{described.name}.{link.field}"
    if field is None:
        yield _finding(
            mapping,
            f"{described.name} has no field {link.field}, or hides it from this user; account.link "
            "names it",
            f"Run {_DEPLOY} and assign the permission set m3sync_account_link to the integration "
            "user; or name another lookup under link, or remove link.",
            "field",
        )
    elif field.type != "reference":
        yield _finding(
            mapping,
            f"{place} is of type {field.type}, and account.link needs a lookup to {link.object}",
            f"Name a lookup to {link.object} under link.",
            "field",
        )
    elif field.refers_to and link.object not in field.refers_to:
        yield _finding(
            mapping,
            f"{place} is a lookup to {' or '.join(field.refers_to)}, and account.link says "
            f"object: {link.object}",
            "Name another lookup or another object under link.",
            "object",
        )


def linked_object_findings(
    mapping: FieldMapping, link: AccountLink, described: SalesforceObject
) -> Iterator[SchemaFinding]:
    """Find what is wrong with the object that the lookup points to.

    Args:
        mapping: of accounts.
        link: its link.
        described: that object.
    """
    if link.by is not LinkBy.CODE:
        return
    field = described.fields.get(link.name)
    place = f"{described.name}.{link.name}"
    if field is None:
        yield _finding(
            mapping,
            f"{described.name} has no field {link.name}, or hides it from this user; account.link "
            "looks for the codes of accounts in it",
            "Name the field with the code, or give the integration user the right to read it.",
            "by",
        )
    elif field.filterable is False:
        yield _finding(
            mapping,
            f"{place} cannot be filtered by, and account.link looks for accounts' codes in it",
            "Name a field that is neither a long text nor encrypted.",
            "by",
        )


def hidden_object_finding(mapping: FieldMapping, link: AccountLink, cause: str) -> SchemaFinding:
    """The finding that the object does not exist or is hidden."""
    return _finding(
        mapping,
        f"account.link points to {link.object}: {cause}",
        f"Give the integration user the right to read {link.object}, for Account by the permission "
        "set m3sync_account_link; or correct object under link.",
        "object",
    )


def _finding(mapping: FieldMapping, cause: str, remedy: str, attribute: str) -> SchemaFinding:
    name = mapping.entity.name
    return SchemaFinding(name, cause, remedy, where=("entities", name, "link", attribute))
