"""One record compared field by field, and what is asked of m3ter and Salesforce for it."""

from collections.abc import Iterator, Sequence

import pytest

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Overwrite
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_comparison import (
    ComparedField,
    RecordComparison,
    State,
)
from m3sync_dagster.sync.row_types import Column, Target
from m3sync_dagster_tests.sync.conftest import Listed, Record, mapping
from m3sync_dagster_tests.sync.readable_org import Read, ReadableOrg, SalesforceRow
from m3sync_dagster_tests.sync.test_account_links import (
    BY_CODE,
    BY_FIELD,
    BY_MAPPING,
    FIRST,
    SECOND,
    external,
)


class Asked(Listed):
    """An m3ter with one account that notes what it was asked for."""

    def __init__(self, *records: Record, under: str | None = None) -> None:
        super().__init__(records)
        self.under = under
        self.fetched: list[tuple[str, str, str | None]] = []
        self.mapped: list[Sequence[str] | None] = []

    def fetch(self, entity: EntityType, m3ter_id: str, parent: str | None = None) -> bytes | None:
        self.fetched.append((entity.name, m3ter_id, parent))
        return super().fetch(entity, m3ter_id) if parent == self.under else None

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        self.mapped.append(account_ids)
        return super().external_mappings(account_ids)


def comparison(built: FieldMapping, source: Listed, org: ReadableOrg) -> RecordComparison:
    return RecordComparison(built, source, org, lambda: None)


def test_a_preflight_that_fails_stops_the_comparison_before_the_object_is_described() -> None:
    def preflight() -> None:
        raise ConfigurationError("no object", "Create it.")

    org = ReadableOrg()
    with pytest.raises(ConfigurationError, match="no object"):
        RecordComparison(mapping(), Listed(), org, preflight)
    assert org.calls == 0


@pytest.mark.parametrize(
    ("in_m3ter", "salesforce", "state"),
    [
        (True, {"Name": "n", "Account_Name__c": "n"}, "equal"),
        (True, {"Name": "n", "Account_Name__c": "n", "Code__c": "edited"}, "changed"),
        (True, None, "missing"),
        (False, {"Name": "n"}, "extra"),
        (False, None, "absent"),
    ],
)
def test_each_field_has_the_value_of_each_side(
    in_m3ter: bool, salesforce: dict[str, object] | None, state: State
) -> None:
    built = mapping()
    rows = {} if salesforce is None else {"s": SalesforceRow("a", salesforce)}
    source = Listed([{"id": "a", "name": "n"}] if in_m3ter else [])
    found = comparison(built, source, Read(built, **rows)).compare("a")
    ours = {"Name": "n", "Account_Name__c": "n"} if in_m3ter else {}
    theirs = salesforce or {}
    assert found.fields == [
        ComparedField(
            "m3ter_Id__c",
            "id",
            "a" if in_m3ter else None,
            None if salesforce is None else "a",
            differs=False,
        ),
        *(
            ComparedField(
                field.salesforce,
                field.source,
                ours.get(field.salesforce),
                theirs.get(field.salesforce),
                differs=in_m3ter and field.salesforce == "Code__c" and "Code__c" in theirs,
            )
            for field in built.fields
        ),
    ]
    assert (found.in_m3ter, found.candidate is not None) == (in_m3ter, in_m3ter)
    assert (found.salesforce is not None, found.flagged) == (salesforce is not None, False)
    assert found.state == state


def test_a_constant_is_compared_and_has_no_source() -> None:
    options = EntityOptions(constants={"Currency__c": "EUR"}, fields={"currency": None})
    built = mapping(options=options)
    org = Read(built, s=SalesforceRow("a", {"Currency__c": "USD"}))
    found = comparison(built, Listed([{"id": "a", "name": "n"}]), org).compare("a")
    assert found.fields[-1] == ComparedField("Currency__c", None, "EUR", "USD", differs=True)


@pytest.mark.parametrize(
    ("external_id", "synced_to", "listed", "state"),
    [
        ("a", "s", "a", "changed"),
        ("edited", "s", "a", "changed"),
        (None, "s", "a", "changed"),
        ("b", "s", "ab", "missing"),
        ("edited", None, "a", "missing"),
        ("edited", "t", "a", "missing"),
    ],
)
def test_a_record_is_also_found_by_the_salesforce_id_under_which_it_was_synced(
    external_id: str | None, synced_to: str | None, listed: str, state: State
) -> None:
    built = mapping()
    source = Listed([{"id": one, "name": "n"} for one in listed])
    org = Read(built, s=SalesforceRow(external_id, {}))
    found = comparison(built, source, org).compare("a", synced_to)
    assert found.state == state
    key = found.fields[0]
    assert (key.salesforce, key.differs) == (
        (external_id, external_id != "a") if state == "changed" else (None, False)
    )


def test_a_record_of_another_account_is_out_of_scope_and_nothing_differs() -> None:
    built = mapping(options=EntityOptions(scope=AccountFilter(restricted=frozenset({"a"}))))
    org = Read(built, s=SalesforceRow("a", {"Name": "edited"}))
    found = comparison(built, Listed([{"id": "a", "name": "n"}]), org).compare("a")
    assert (found.state, found.differences) == ("out_of_scope", [])


@pytest.mark.parametrize(
    ("flag", "is_configured", "state"),
    [
        (True, True, "flagged"),
        (False, True, "extra"),
        (None, True, "extra"),
        (True, False, "extra"),
    ],
)
def test_a_record_that_is_marked_as_deleted_is_flagged(
    flag: bool | None, is_configured: bool, state: State
) -> None:
    built = mapping(options=EntityOptions(when_gone=WhenGone.FLAG, gone_field="Deleted__c"))
    org = Read(built, s=SalesforceRow("a", {"Deleted__c": flag}))
    gone_field = "Deleted__c" if is_configured else None
    found = RecordComparison(built, Listed(), org, lambda: None, gone_field).compare("a")
    assert (found.state, found.flagged) == (state, state == "flagged")
    absent = RecordComparison(built, Listed(), org, lambda: None, gone_field).compare("x")
    assert (absent.state, absent.flagged) == ("absent", False)


@pytest.mark.parametrize(("code", "differs"), [("by hand", False), ("", True), (None, True)])
def test_a_field_that_keeps_its_value_does_not_differ(code: str | None, differs: bool) -> None:
    built = mapping(options=EntityOptions(overwrite={"Code__c": Overwrite.IF_EMPTY}))
    values: dict[str, object] = {"Name": "edited", "Account_Name__c": "n", "Code__c": code}
    source = Listed([{"id": "a", "name": "n", "code": "c"}])
    found = comparison(built, source, Read(built, s=SalesforceRow("a", values))).compare("a")
    names = [one.field for one in found.differences]
    assert names == (["Name", "Code__c"] if differs else ["Name"])


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({"Status__c": "APPROVED"}, "changed"),
        (None, "not_final"),
    ],
)
def test_a_record_that_is_not_final_is_compared_only_if_salesforce_has_it(
    found: dict[str, object] | None, state: State
) -> None:
    built = mapping("bill")
    rows = {} if found is None else {"s": SalesforceRow("b", found)}
    source = Listed([{"id": "b", "status": "PENDING"}])
    assert comparison(built, source, Read(built, **rows)).compare("b").state == state


ITEM = "bill_line_item"


@pytest.mark.parametrize(
    ("entity", "salesforce", "under", "fetched"),
    [
        (ITEM, {"m3ter_Bill__c": "bill"}, "bill", [(ITEM, "a", "bill")]),
        (
            ITEM,
            {"m3ter_Bill__c": "moved"},
            None,
            [(ITEM, "a", "moved"), (ITEM, "a", None)],
        ),
        (ITEM, {}, None, [(ITEM, "a", None)]),
        (ITEM, None, None, [(ITEM, "a", None)]),
        ("bill", {"m3ter_Account__c": "x"}, None, [("bill", "a", None)]),
    ],
)
def test_a_record_is_requested_first_under_the_parent_that_salesforce_names(
    entity: str,
    salesforce: dict[str, object] | None,
    under: str | None,
    fetched: list[tuple[str, str, str | None]],
) -> None:
    built = build_mapping(ENTITIES[entity], {entity: EntityOptions(), "bill": EntityOptions()}, "")
    rows = {} if salesforce is None else {"s": SalesforceRow("a", salesforce)}
    source = Asked({"id": "a", "billId": "bill", "status": "APPROVED"}, under=under)
    found = comparison(built, source, Read(built, **rows)).compare("a")
    assert [one for one in source.fetched if one[1] == "a"] == fetched
    assert found.in_m3ter


@pytest.mark.parametrize("link", [BY_MAPPING, BY_FIELD, BY_CODE])
def test_the_link_of_the_account_alone_is_read(link: AccountLink) -> None:
    built = mapping(options=EntityOptions(link=link))
    source = Asked({"id": "a", "code": "A", "customFields": {"sfdcId": FIRST}})
    source.external = [external("a", FIRST), external("b", SECOND)]
    org = Read(built, s=SalesforceRow("a", {link.field: SECOND}))
    org.crm = {"A": [FIRST]}
    found = comparison(built, source, org).compare("a")
    (compared_link,) = [one for one in found.fields if one.field == link.field]
    assert (compared_link.m3ter, compared_link.salesforce) == (FIRST, SECOND)
    assert source.mapped == ([["a"]] if link == BY_MAPPING else [])


@pytest.mark.parametrize(("currency", "state"), [("EUR", "missing"), ("USD", "out_of_scope")])
def test_only_the_account_itself_decides_whether_it_is_in_scope(
    currency: str, state: State
) -> None:
    scope = AccountFilter(expression=AccountExpression('currency == "EUR"'))
    built = mapping(options=EntityOptions(scope=scope))
    source = Listed([{"id": "a", "currency": currency}, {"id": "b", "currency": "EUR"}])
    assert comparison(built, source, Read(built)).compare("a").state == state


@pytest.mark.parametrize("more", [1, -1])
def test_a_row_with_another_number_of_values_is_not_compared(more: int) -> None:
    class Other(Read):
        def read_back(self, target: Target, _only: object) -> Iterator[Sequence[ReadRow]]:
            yield [ReadRow("a", "s", [None] * (len(target.columns) + more))]

    with pytest.raises(ValueError, match="argument"):
        comparison(mapping(), Listed(), Other(mapping())).compare("a")


class WithAllCases(Read):
    """An org that finds a text in upper or lower case, as Salesforce does."""

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        assert only == Selection(Column("Code__c"), ["C1"])
        return super().read_back(target, None)


def test_records_are_found_by_their_code() -> None:
    built = mapping()
    codes = {"a": "C1", "b": "c1", "c": "C1"}
    rows = {f"s{one}": SalesforceRow(one, {"Code__c": code}) for one, code in codes.items()}
    assert comparison(built, Listed(), WithAllCases(built, **rows)).find_by_code("C1") == {"a", "c"}


def test_no_record_is_found_by_a_code_that_is_not_mapped() -> None:
    built = mapping(options=EntityOptions(fields={"code": None}))
    org = Read(built, s=SalesforceRow("a", {"Code__c": "C1"}))
    assert comparison(built, Listed(), org).find_by_code("C1") == set()
    assert org.selections == []


def test_a_record_is_found_by_its_salesforce_id() -> None:
    built = mapping()
    org = Read(built, s=SalesforceRow("a", {}), t=SalesforceRow("b", {}))
    found = comparison(built, Listed(), org)
    assert found.find_by_salesforce_id("t") == ReadRow("b", "t", [None] * len(built.columns))
    assert found.find_by_salesforce_id("u") is None
