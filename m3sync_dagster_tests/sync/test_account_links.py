"""Accounts get the Id of their record in the CRM, and a change of it moves the link."""

import psycopg
import pytest

from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import (
    SHOWN,
    AccountLink,
    LinkBy,
    LinkCounts,
    LinkOutcome,
)
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.row_results import ErrorClass
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, account, mapping, prepared

LOOKUP = "Salesforce_Account__c"
FIRST, SECOND = "001D000000IRFmaIAH", "001000000000001AAA"
BY_MAPPING = AccountLink(LOOKUP)
BY_FIELD = AccountLink(LOOKUP, by=LinkBy.CUSTOM_FIELD, name="sfdcId")
BY_CODE = AccountLink(LOOKUP, by=LinkBy.CODE, name="AccountNumber")


class LinkOrg(Org):
    """An org whose accounts have a lookup to Account."""

    def _describe(self, object_name: str) -> SalesforceObject:
        described = super()._describe(object_name)
        described.fields[LOOKUP] = SalesforceField(LOOKUP, "reference", refers_to=("Account",))
        return described

    @property
    def links(self) -> dict[str, object]:
        return {m3ter_id: values.get(LOOKUP) for m3ter_id, values in self.held.items()}


def external(account_id: str, salesforce_id: str) -> Record:
    named: Record = {
        "m3terEntity": "Account",
        "externalSystem": "Salesforce",
        "externalTable": "Account",
    }
    return named | {"m3terId": account_id, "externalId": salesforce_id}


def sync(
    connection: psycopg.Connection, source: Listed, org: Org, link: AccountLink, **options: object
) -> EntitySync:
    built = mapping(options=EntityOptions(link=link, **options))  # type: ignore[arg-type]
    made = prepared(connection, source, org, built)
    for _ in made.run():
        pass
    return made


def test_an_external_mapping_moves_its_link_without_a_change_of_the_account(
    connection: psycopg.Connection,
) -> None:
    source, org = Listed([account("a"), account("b"), account("c")]), LinkOrg()
    source.external = [external("a", FIRST), external("b", FIRST), external("b", SECOND)]
    done = sync(connection, source, org, BY_MAPPING)
    assert org.links == {"a": FIRST, "b": None, "c": None}
    assert done.links.as_dict() == {"matched": 1, "none": 1, "ambiguous": 1, "malformed": 0}
    assert done.links.examples == {
        LinkOutcome.AMBIGUOUS: ["Account b (b)"],
        LinkOutcome.NONE: ["Account c (c)"],
    }

    calls = org.calls
    done = sync(connection, source, org, BY_MAPPING)
    assert (done.counts.as_dict()["unchanged"], org.calls) == (3, calls)
    assert done.links.without_link == 2, "accounts that have not changed are counted too"

    source.external = [external("c", SECOND)]
    assert sync(connection, source, org, BY_MAPPING).counts.as_dict()["updated"] == 2
    assert org.links == {"a": None, "b": None, "c": SECOND}


def test_mappings_that_cannot_be_read_stop_the_run(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, org = Listed([account("a")]), LinkOrg()
    source.external = [external("a", FIRST)]
    sync(connection, source, org, BY_MAPPING)

    def broken(_ids: object) -> object:
        raise RemoteError("m3ter is down", "Wait.")
        yield  # the list begins only when it is read

    monkeypatch.setattr(source, "external_mappings", broken)
    with pytest.raises(RemoteError):
        sync(connection, source, org, BY_MAPPING)
    assert org.links == {"a": FIRST}


def test_accounts_out_of_scope_and_unreadable_ones_are_not_counted(
    connection: psycopg.Connection,
) -> None:
    source, org = Listed([account("a"), account("b"), b"[]", b"{"]), LinkOrg()
    scope = AccountFilter(restricted=frozenset({"b"}))
    done = sync(connection, source, org, BY_MAPPING, scope=scope)
    assert done.links.as_dict() == {"matched": 0, "none": 1, "ambiguous": 0, "malformed": 0}


def test_a_masked_name_is_in_no_message(connection: psycopg.Connection) -> None:
    source, org = Listed([account("a")]), LinkOrg()
    done = sync(connection, source, org, BY_MAPPING, mask=frozenset({"Name"}))
    assert done.links.examples == {LinkOutcome.NONE: ["a"]}


@pytest.mark.parametrize(
    ("fields", "link", "outcome"),
    [
        ({"customFields": {"sfdcId": FIRST}}, FIRST, "matched"),
        ({"customFields": {"sfdcId": FIRST[:15]}}, FIRST, "matched"),
        ({"customFields": {"sfdcId": "003D000000IRFma"}}, None, "malformed"),
        ({"customFields": {"sfdcId": 12}}, None, "malformed"),
        ({"customFields": {"sfdcId": ""}}, None, "none"),
        ({"customFields": {"other": FIRST}}, None, "none"),
        ({"customFields": None}, None, "none"),
        ({}, None, "none"),
    ],
)
def test_a_custom_field_holds_the_id(
    connection: psycopg.Connection, fields: Record, link: str | None, outcome: str
) -> None:
    org = LinkOrg()
    done = sync(connection, Listed([account("a", **fields)]), org, BY_FIELD)
    assert org.links == {"a": link}
    assert {name: n for name, n in done.links.as_dict().items() if n} == {outcome: 1}
    assert org.looked_for == []


def test_codes_are_looked_up_together_for_what_has_changed(connection: psycopg.Connection) -> None:
    records = [account(f"{n:04}", code=f"C{n}") for n in range(2_500)]
    source, org = Listed(records), LinkOrg()
    org.crm = {"C0": [FIRST], "C1": [FIRST, SECOND]}
    done = sync(connection, source, org, BY_CODE)
    assert (org.links["0000"], org.links["0001"], org.links["0002"]) == (FIRST, None, None)
    assert [len(values) for values in org.looked_for] == [1_000, 1_000, 500]
    assert done.links.as_dict() == {"matched": 1, "none": 2498, "ambiguous": 1, "malformed": 0}

    # A few changed accounts of each batch are one look-up.
    org.looked_for.clear()
    org.crm["C2400"] = [SECOND]
    for number in (3, 1_200, 2_400):
        records[number] = account(f"{number:04}", code=f"C{number}", currency="EUR")
    done = sync(connection, source, org, BY_CODE)
    assert org.looked_for == [["C1200", "C2400", "C3"]]
    assert (done.counts.as_dict()["updated"], done.counts.as_dict()["unchanged"]) == (3, 2_497)
    assert (org.links["2400"], done.links.counts.total()) == (SECOND, 3)


def test_codes_of_accounts_out_of_scope_are_not_looked_up(connection: psycopg.Connection) -> None:
    source, org = Listed([account("a", code="A"), account("b", code="B")]), LinkOrg()
    scope = AccountFilter(restricted=frozenset({"b"}))
    for _ in range(2):
        sync(connection, source, org, BY_CODE, scope=scope)
    assert org.looked_for == [["A"]]


def test_a_rejection_says_which_link_it_may_be_about(connection: psycopg.Connection) -> None:
    source, org = Listed([account("a"), account("b"), account("c")]), LinkOrg()
    source.external = [external("a", FIRST), external("c", FIRST)]
    for m3ter_id in ("a", "b"):
        org.refuse[m3ter_id] = (ErrorClass.PERMANENT, "INVALID_CROSS_REFERENCE_KEY")
    org.refuse["c"] = (ErrorClass.PERMANENT, "STRING_TOO_LONG")
    done = sync(connection, source, org, BY_MAPPING)
    messages = {one.m3ter_id: one.message for one in done.rejected}
    assert f"the link of this account: {LOOKUP} points to the Account {FIRST}" in messages["a"]
    assert (messages["b"], messages["c"]) == ("no", "no")


def test_a_few_accounts_of_each_outcome_are_named() -> None:
    counts, batch = LinkCounts(), LinkCounts()
    for number in range(4):
        batch.add(LinkOutcome.NONE, lambda number=number: str(number))  # type: ignore[misc]
    counts.update(batch)
    counts.update(batch)
    assert counts.counts[LinkOutcome.NONE] == 8
    assert counts.examples[LinkOutcome.NONE] == ["0", "1", "2", "3", "0"][:SHOWN]
