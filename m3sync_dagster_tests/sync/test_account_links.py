"""Accounts get the Id of their record in the CRM, and a change of it moves the link."""

import json
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import (
    AMBIGUOUS,
    MALFORMED,
    NO_LINK,
    AccountLink,
    Link,
    LinkBy,
    LinkFinder,
    LinkOutcome,
)
from m3sync_dagster.sync.account_links import with_links_of
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


def finder(
    link: AccountLink, source: Listed, org: Org, account_ids: list[str] | None = None
) -> LinkFinder:
    built = with_links_of(mapping(options=EntityOptions(link=link)), source, org, account_ids)
    assert built.links
    return built.links


def found(links: LinkFinder, record: Record) -> Link:
    """The link of an account, which is the same by its record and by its JSON text."""
    link = links.find(record)
    assert links.find_raw(json.dumps(record).encode()) == link
    return link


def test_a_mapping_without_a_link_looks_nothing_up() -> None:
    plain = mapping()
    assert with_links_of(plain, Listed(), LinkOrg(), None) is plain


@pytest.mark.parametrize(
    ("account_ids", "links"),
    [
        (None, [FIRST, SECOND, None, None]),
        (["a", "c"], [FIRST, None, None, None]),
    ],
)
def test_external_mappings_are_read_once_for_the_accounts_that_are_mapped(
    account_ids: list[str] | None, links: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, read = Listed(), []
    source.external = [external("a", FIRST), external("c", "x"), external("b", SECOND)]
    source.external.append(external("d", "003000000000001AAA"))
    list_them = source.external_mappings

    def listed(ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        read.append(ids)
        return list_them(ids)

    monkeypatch.setattr(source, "external_mappings", listed)
    by_mapping = finder(BY_MAPPING, source, LinkOrg(), account_ids)
    by_mapping.prepare([b'{"id": "a"}'])
    assert read == []
    assert [found(by_mapping, account(one)).salesforce_id for one in "abcd"] == links
    assert (by_mapping.find({"id": 7}), by_mapping.find({})) == (NO_LINK, NO_LINK)
    assert (by_mapping.find_raw(b"{"), by_mapping.find_raw(b'{"id": 7}')) == (NO_LINK, NO_LINK)
    assert read == [account_ids]


@pytest.mark.parametrize(
    ("fields", "link"),
    [
        ({"customFields": {"sfdcId": FIRST}}, Link(LinkOutcome.MATCHED, FIRST)),
        ({"customFields": {"sfdcId": FIRST[:15]}}, Link(LinkOutcome.MATCHED, FIRST)),
        ({"customFields": {"sfdcId": "003D000000IRFma"}}, MALFORMED),
        ({"customFields": {"sfdcId": 12}}, MALFORMED),
        ({"customFields": {"sfdcId": ""}}, NO_LINK),
        ({"customFields": {"other": FIRST}}, NO_LINK),
        ({"customFields": None}, NO_LINK),
        ({"customFields": FIRST}, NO_LINK),
        ({}, NO_LINK),
    ],
)
def test_a_custom_field_holds_the_id(fields: Record, link: Link) -> None:
    by_field = finder(BY_FIELD, Listed(), LinkOrg())
    by_field.prepare([b"{"])
    assert found(by_field, account("a", **fields)) == link
    assert (by_field.find_raw(b"{"), by_field.find_raw(b"[]")) == (NO_LINK, NO_LINK)


@pytest.mark.parametrize(
    ("code", "link"),
    [
        ("one", Link(LinkOutcome.MATCHED, FIRST)),
        (" one\t", Link(LinkOutcome.MATCHED, FIRST)),
        ("two", AMBIGUOUS),
        ("none", NO_LINK),
        ("o\0ne", NO_LINK),
        (" ", NO_LINK),
        (1, NO_LINK),
        (None, NO_LINK),
    ],
)
def test_a_code_is_the_one_of_a_single_record(code: object, link: Link) -> None:
    org = LinkOrg()
    org.crm = {"one": [FIRST], "two": [FIRST, SECOND], "1": [SECOND], "o\0ne": [SECOND]}
    by_code = finder(BY_CODE, Listed(), org)
    record = account("a", code=code)
    by_code.prepare([json.dumps(record).encode(), b"{", b"[]"])
    assert found(by_code, record) == link
    assert (by_code.find_raw(b"{"), by_code.find_raw(b"[]")) == (NO_LINK, NO_LINK)


def test_only_the_codes_of_the_latest_accounts_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find_ids(*question: str | Sequence[str]) -> dict[str, list[str]]:
        asked.append(question)
        return {"A": [FIRST], "B": [SECOND]}

    org = LinkOrg()
    monkeypatch.setattr(org, "find_ids", find_ids)
    by_code = finder(BY_CODE, Listed(), org)
    for codes in ("AC", "CA", "ABD", "", "B"):
        records = [account(code, code=code) for code in codes]
        by_code.prepare([json.dumps(one).encode() for one in records])
        links = {"A": FIRST, "B": SECOND}
        assert [found(by_code, one).salesforce_id for one in records] == [
            links.get(code) for code in codes
        ]
    asked_of = [("Account", "AccountNumber", codes) for codes in (["A", "C"], ["B", "D"], ["B"])]
    assert asked == asked_of


def test_a_run_links_accounts_by_a_custom_field(connection: psycopg.Connection) -> None:
    records = [
        account(one, customFields={"sfdcId": value}) for one, value in (("a", FIRST), ("b", 1))
    ]
    org = LinkOrg()
    done = sync(connection, Listed(records), org, BY_FIELD)
    assert org.links == {"a": FIRST, "b": None}
    assert done.links.as_dict() == {"matched": 1, "none": 0, "ambiguous": 0, "malformed": 1}
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
