"""What a plan counts and shows of each record, and what it asks m3ter and Salesforce for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync import engine
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink
from m3sync_dagster.sync.change_detection import build_candidate
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.fingerprint_basis import FingerprintBasis
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.plan import EntityPlan, Sample
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Column, RecordHash, Target, Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, account, mapping
from m3sync_dagster_tests.sync.fitting_object import fitting
from m3sync_dagster_tests.sync.test_account_links import external
from m3sync_dagster_tests.sync.test_change_detection import StoredRows

HERE = FingerprintBasis(
    Org().organization_id, Listed.organization_id, "m3ter_Account__c", "m3ter_Id__c"
)
COLUMNS = (Column("Account_Name__c"), Column("Code__c"))
TWO_FIELDS = EntityOptions(
    fields={one.source: None for one in ENTITIES["account"].fields}
    | {"name": "Account_Name__c", "code": "Code__c"}
)
UPDATE_ONLY = replace(TWO_FIELDS, match=Match.UPDATE_ONLY)
LINK, CRM_ID = AccountLink("Crm__c"), "001D000000IRFmaIAH"


@dataclass
class Stored(StoredRows):
    """The stored state of an entity, with a basis; some rows are paused, some have no parent."""

    place: FingerprintBasis | None = HERE
    pausing: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()

    def basis(self) -> FingerprintBasis | None:
        return self.place

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        ids = [one.m3ter_id for one in seen if one.m3ter_id in self.pausing]
        return [Rejected(one, ErrorClass.PERMANENT, "CODE", "no") for one in ids]

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        assert entity == "account"
        return {one for one in ids if one in self.waiting}


class ReadOrg(Org):
    """An org that notes what is read of it. Its codes are e-mail addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[Sequence[Column], Sequence[str] | None]] = []

    def _describe(self, object_name: str) -> SalesforceObject:
        described = super()._describe(object_name)
        described.fields["Code__c"] = SalesforceField("Code__c", "email")
        described.fields["Crm__c"] = SalesforceField("Crm__c", "reference", refers_to=("Account",))
        return described

    def hold(self, m3ter_id: str, name: str | None = None, code: str | None = None) -> None:
        self.held[m3ter_id] = {"Account_Name__c": name, "Code__c": code}
        self.ids[m3ter_id] = f"s-{m3ter_id}"

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        assert only is None or only.column == Column("m3ter_Id__c")
        self.read.append((target.columns, only.ids if only else None))
        yield from super().read_back(target, only)


@pytest.fixture(autouse=True)
def _two_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH", 2)


def made(plan: EntityPlan) -> list[int]:
    """Make a plan; returns its progress."""
    return list(plan.run())


def counts(plan: EntityPlan) -> dict[str, int]:
    return {action: count for action, count in plan.counts.items() if count}


def test_each_record_is_counted_and_what_would_be_sent_is_shown() -> None:
    org = ReadOrg()
    org.hold("changed", "before", "Same@X.example")
    records = [
        account("same"),
        account("paused"),
        account("invalid", name=[]),
        account("changed", code="same@x.EXAMPLE"),
        account("new", code="new@x.example"),
    ]
    built = mapping(options=TWO_FIELDS)
    stored = Stored(fingerprints={"changed": None}, pausing=frozenset({"paused"}))
    stored.fingerprints["same"] = fingerprint(built, org, records[0])
    plan = EntityPlan(built, Listed(records), stored, org)
    assert made(plan) == [2, 4, 5]
    assert plan.counts == {
        "create": 1,
        "update": 1,
        "unchanged": 1,
        "invalid": 1,
        "paused": 1,
        "waiting": 0,
    }
    assert plan.sample == [
        Sample(
            "changed", "update", {"Account_Name__c": ("before", "Account changed")}, "s-changed"
        ),
        Sample(
            "new",
            "create",
            {"Account_Name__c": (None, "Account new"), "Code__c": (None, "new@x.example")},
        ),
    ]
    assert org.read == [(COLUMNS, ["changed", "new"])]
    assert org.sent == []


def fingerprint(built: FieldMapping, org: Org, record: Record) -> bytes:
    candidate = build_candidate(built, TargetSchema(built, org).validator(), raw(record))
    assert candidate
    return candidate.fingerprint


def raw(record: Record) -> bytes:
    return json.dumps(record).encode()


def test_nothing_is_read_of_salesforce_if_nothing_would_be_sent() -> None:
    org = ReadOrg()
    plan = EntityPlan(mapping(options=TWO_FIELDS), Listed([account("a", name=[])]), Stored(), org)
    assert (made(plan), counts(plan), plan.sample, org.read) == ([1], {"invalid": 1}, [], [])


@pytest.mark.parametrize(("most", "shown"), [(0, []), (1, ["0"]), (3, ["0", "1", "2"])])
def test_the_first_rows_are_shown(most: int, shown: list[str]) -> None:
    records = [account(str(number)) for number in range(6)]
    plan = EntityPlan(mapping(options=TWO_FIELDS), Listed(records), Stored(), ReadOrg(), most=most)
    assert made(plan) == [2, 4, 6]
    assert (counts(plan), [one.m3ter_id for one in plan.sample]) == ({"create": 6}, shown)


@pytest.mark.parametrize(
    ("basis", "expected"),
    [
        (HERE, {"unchanged": 1}),
        (None, {"update": 1}),
        (replace(HERE, restored=True), {"update": 1}),
        (replace(HERE, external_id_field="Other_Id__c"), {"update": 1}),
        (replace(HERE, salesforce_org_id="00D000000000002"), {"create": 1}),
        (replace(HERE, m3ter_org_id="another"), {"create": 1}),
        (replace(HERE, object_name="Other__c"), {"create": 1}),
    ],
)
def test_fingerprints_of_another_basis_are_not_used(
    basis: FingerprintBasis | None, expected: dict[str, int]
) -> None:
    built, org, record = mapping(options=TWO_FIELDS), ReadOrg(), account("a")
    stored = Stored(fingerprints={"a": fingerprint(built, org, record)}, place=basis)
    plan = EntityPlan(built, Listed([record]), stored, org)
    made(plan)
    assert counts(plan) == expected


@pytest.mark.parametrize(
    ("only", "progress", "expected", "asked"),
    [
        (None, [2, 3], {"update": 1, "waiting": 2}, None),
        ("a", [1], {"update": 1}, ["a"]),
        ("b", [1], {"waiting": 1}, ["b"]),
    ],
)
def test_salesforce_says_which_records_an_update_alone_finds(
    only: str | None, progress: list[int], expected: dict[str, int], asked: list[str] | None
) -> None:
    org = ReadOrg()
    org.hold("a")
    stored = Stored(fingerprints={"b": None})
    records = [account(one) for one in "abc"]
    plan = EntityPlan(mapping(options=UPDATE_ONLY), Listed(records), stored, org, only=only)
    assert (made(plan), counts(plan)) == (progress, expected)
    assert org.read[0] == ((), asked)
    assert [one.m3ter_id for one in plan.sample] == ["a"] * expected.get("update", 0)


def test_what_is_kept_is_shown_apart() -> None:
    org = ReadOrg()
    org.hold("a", "theirs", "theirs@x.example")
    org.hold("b", "theirs")
    options = replace(TWO_FIELDS, overwrite={"Code__c": Overwrite.IF_EMPTY})
    records = [account(one, code="ours@x.example") for one in "ab"]
    plan = EntityPlan(mapping(options=options), Listed(records), Stored(), org)
    made(plan)
    code = ("theirs@x.example", "ours@x.example")
    assert plan.sample == [
        Sample("a", "create", name_changes("a"), "s-a", {"Code__c": code}),
        Sample("b", "create", name_changes("b") | {"Code__c": (None, "ours@x.example")}, "s-b"),
    ]


def name_changes(m3ter_id: str) -> dict[str, tuple[object, Value]]:
    return {"Account_Name__c": ("theirs", f"Account {m3ter_id}")}


def test_an_answer_with_other_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    org = ReadOrg()
    monkeypatch.setattr(org, "read_back", lambda *_: [[ReadRow("a", "s-a", ["one"])]])
    plan = EntityPlan(mapping(options=TWO_FIELDS), Listed([account("a")]), Stored(), org)
    with pytest.raises(ValueError, match="zip"):
        made(plan)


def test_a_record_that_m3ter_does_not_have_is_not_counted() -> None:
    source = Listed([account("a")])
    plan = EntityPlan(mapping(options=TWO_FIELDS), source, Stored(), ReadOrg(), only="b")
    assert (made(plan), counts(plan), plan.sample) == ([], {}, [])


@pytest.mark.parametrize(("only", "asked"), [(None, ["a", "b"]), ("a", ["a"])])
def test_only_the_accounts_that_are_planned_for_are_asked_for(
    only: str | None, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, questions = Listed([account("a"), account("b"), account("c", code="no")]), []

    def external_mappings(ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        questions.append(ids)
        yield [raw(external(one, CRM_ID)) for one in "ab"]

    def matching_accounts(
        expression: AccountExpression, ids: Sequence[str] | None
    ) -> MatchingAccounts:
        questions.append(ids)
        return MatchingAccounts(expression, lambda: source.records(ENTITIES["account"], None))

    monkeypatch.setattr(source, "external_mappings", external_mappings)
    monkeypatch.setattr(source, "matching_accounts", matching_accounts)
    scope = AccountFilter(frozenset("abc"), frozenset("c"), AccountExpression("code != no"))
    options = replace(TWO_FIELDS, link=LINK, scope=scope)
    plan = EntityPlan(mapping(options=options), source, Stored(), ReadOrg(), only=only)
    assert made(plan)[-1] == (1 if only else 3)
    assert counts(plan) == {"create": len(asked)}
    assert [sorted(one or ()) for one in questions] == [asked, asked]
    assert plan.links.as_dict() == {
        "matched": len(asked),
        "none": 0,
        "ambiguous": 0,
        "malformed": 0,
    }


def test_a_row_waits_for_a_parent_without_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"account": UPDATE_ONLY, "contract": EntityOptions()}
    built = build_mapping(ENTITIES["contract"], options, "")
    org = Org()
    monkeypatch.setattr(org, "_describe", lambda _name: fitting(built))
    records: list[Record] = [{"id": one, "accountId": one} for one in "abc"]
    stored = Stored(place=replace(HERE, object_name=built.object_name), waiting=frozenset("ab"))
    plan = EntityPlan(built, Listed(records), stored, org, most=0)
    made(plan)
    assert counts(plan) == {"waiting": 2, "create": 1}


def test_the_preflight_is_first_and_can_stop_the_plan() -> None:
    org = ReadOrg()

    def stop() -> None:
        raise ConfigurationError("a cause", "A remedy.")

    plan = EntityPlan(mapping(options=TWO_FIELDS), Listed([account("a")]), Stored(), org, stop)
    with pytest.raises(ConfigurationError):
        made(plan)
    assert (org.calls, plan.counts["create"]) == (0, 0)
