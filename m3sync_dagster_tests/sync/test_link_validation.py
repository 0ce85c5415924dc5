"""What is wrong with a lookup to a record of the CRM is found before a row is sent."""

from dataclasses import replace

import pytest

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.preflight_schema import Preflight
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding
from m3sync_dagster_tests.sync.conftest import mapping
from m3sync_dagster_tests.sync.fitting_object import fitting

LOOKUP = "Salesforce_Account__c"
GOOD = SalesforceField(LOOKUP, "reference", refers_to=("Account",))
NUMBER = SalesforceField("AccountNumber", "string", length=40)


def linked(by: LinkBy = LinkBy.EXTERNAL_MAPPING, name: str = "") -> FieldMapping:
    return mapping(options=EntityOptions(link=AccountLink(LOOKUP, by=by, name=name)))


class DescribedOrg:
    """An org with our object and Account; counts describes."""

    def __init__(self, lookup: SalesforceField | None, account: SalesforceObject | None) -> None:
        ours = fitting(mapping())
        if lookup:
            ours.fields[LOOKUP] = lookup
        self.objects = {ours.name: ours} | ({account.name: account} if account else {})
        self.stored: dict[str, SalesforceObject] = {}
        self.described: list[str] = []

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:  # noqa: ARG002
        self.described.append(object_name)
        if object_name not in self.objects:
            raise ConfigurationError(f"the object {object_name} does not exist", "Create it.")
        self.stored[object_name] = self.objects[object_name]
        return self.stored[object_name]

    def cached(self, object_name: str) -> SalesforceObject | None:
        return self.stored.get(object_name)

    def custom_fields(self, _object_name: str) -> frozenset[str] | None:
        return None


def account(*fields: SalesforceField) -> SalesforceObject:
    return SalesforceObject("Account", "Account", {one.name: one for one in fields})


def found(org: DescribedOrg, built: FieldMapping) -> list[SchemaFinding]:
    return Preflight({"account": built}, org).check_all()["account"]


@pytest.mark.parametrize(
    ("lookup", "cause", "attribute"),
    [
        (GOOD, None, None),
        (replace(GOOD, refers_to=()), None, None),
        (replace(GOOD, refers_to=("Contact", "Account")), None, None),
        (None, "has no field Salesforce_Account__c", "field"),
        (replace(GOOD, type="string"), "Salesforce_Account__c is of type string", "field"),
        (
            replace(GOOD, refers_to=("Contact",)),
            "Salesforce_Account__c is a lookup to Contact",
            "object",
        ),
        (replace(GOOD, updateable=False), "may read but not write Salesforce_Account__c", "field"),
    ],
)
def test_the_lookup_is_a_writable_lookup_to_the_object(
    lookup: SalesforceField | None, cause: str | None, attribute: str | None
) -> None:
    findings = found(DescribedOrg(lookup, account()), linked())
    assert [cause in one.cause for one in findings if cause] == ([True] if cause else [])
    assert [one.where for one in findings] == (
        [("entities", "account", "link", attribute)] if attribute else []
    )
    assert all(one.blocks and one.remedy for one in findings)


@pytest.mark.parametrize(
    ("crm", "cause", "attribute"),
    [
        (account(NUMBER), None, None),
        (account(), "has no field AccountNumber", "by"),
        (
            account(replace(NUMBER, filterable=False)),
            "Account.AccountNumber cannot be filtered by",
            "by",
        ),
        (None, "the object Account does not exist", "object"),
    ],
)
def test_the_object_has_the_field_with_the_code(
    crm: SalesforceObject | None, cause: str | None, attribute: str | None
) -> None:
    findings = found(DescribedOrg(GOOD, crm), linked(LinkBy.CODE, "AccountNumber"))
    assert [cause in one.cause for one in findings if cause] == ([True] if cause else [])
    assert [one.where[-1] for one in findings] == ([attribute] if attribute else [])


def test_a_later_run_describes_the_object_again_only_if_it_does_not_fit() -> None:
    org = DescribedOrg(GOOD, account())
    built = linked(LinkBy.CODE, "AccountNumber")
    assert found(org, built)
    org.objects["Account"] = account(NUMBER)
    org.described.clear()
    Preflight({"account": built}, org).require("account")
    assert "Account" in org.described
    org.described.clear()
    Preflight({"account": built}, org).require("account")
    assert "Account" not in org.described


@pytest.mark.parametrize(
    ("entity", "options", "where"),
    [
        ("contract", EntityOptions(link=AccountLink("L__c")), ("link",)),
        ("account", EntityOptions(link=AccountLink("L c")), ("link", "field")),
        ("account", EntityOptions(link=AccountLink("L__c", "a.b")), ("link", "object")),
        ("account", EntityOptions(link=AccountLink("Code__c")), ("link", "field")),
        (
            "account",
            EntityOptions(link=AccountLink("A__c", by=LinkBy.CODE)),
            ("link", "by", "code"),
        ),
    ],
)
def test_a_wrong_link_is_an_error_with_its_place(
    entity: str, options: EntityOptions, where: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping(entity, options)
    assert caught.value.where == ("entities", entity, *where)
