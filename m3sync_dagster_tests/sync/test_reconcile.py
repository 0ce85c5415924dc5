"""What a verification reads of both sides, in which form, and how it is shown."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest

from m3sync_dagster.sync import engine
from m3sync_dagster.sync.canonical_values import Canonical
from m3sync_dagster.sync.change_detection import build_candidate
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Overwrite
from m3sync_dagster.sync.reconcile import EXAMPLES, FEW_QUERIES, Example, Reconciler, value_in
from m3sync_dagster.sync.reconcile_types import (
    DiffCounts,
    Difference,
    M3terRecord,
    ReadRow,
    SalesforceRecord,
    Selection,
)
from m3sync_dagster.sync.row_types import QUERY_IDS, Column, Target
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Record, account, mapping
from m3sync_dagster_tests.sync.readable_org import Read, SalesforceRow
from m3sync_dagster_tests.sync.test_account_links import BY_CODE


class Sides:
    """Both sides as lists; the test says what is compared, as state's tables do it."""

    def __init__(self, *counts: DiffCounts) -> None:
        self.counts = [*counts, DiffCounts()]
        self.orgs: list[str] = []
        self.salesforce: list[SalesforceRecord] = []
        self.m3ter: list[M3terRecord] = []
        self.removed: list[str] = []
        self.extra: dict[str, str] = {}
        self.found: list[Difference] = []
        self.missing: list[str] = []
        self.matched = False
        self.lost: dict[str, str] = {}
        self.queries = 1
        self.taken = 0

    def begin(self, salesforce_org_id: str) -> None:
        self.orgs.append(salesforce_org_id)

    def add_salesforce(self, rows: Sequence[SalesforceRecord]) -> None:
        self.salesforce += rows

    def add_m3ter(self, rows: Sequence[M3terRecord]) -> None:
        self.m3ter += rows

    def missing_ids(self, size: int) -> Iterator[list[str]]:
        assert size == QUERY_IDS
        yield from ([one] for one in self.missing)

    def match_by_salesforce_id(self) -> None:
        self.matched = True

    def missing_salesforce_ids(self, size: int) -> Iterator[list[str]]:
        assert (self.matched, size) == (True, QUERY_IDS)
        for _ in range(self.queries if self.lost else 0):
            self.taken += 1
            yield list(self.lost)

    def m3ter_ids_of_missing(self, salesforce_ids: Sequence[str]) -> dict[str, str]:
        return {one: self.lost[one] for one in salesforce_ids if one in self.lost}

    def ids_in_m3ter(self, ids: Sequence[str]) -> set[str]:
        return {row.m3ter_id for row in self.m3ter}.intersection(ids)

    def remove_salesforce(self, salesforce_ids: Sequence[str]) -> None:
        self.removed += salesforce_ids

    def compare(self) -> DiffCounts:
        return self.counts.pop(0)

    def extra_records(self, ids: Sequence[str]) -> dict[str, str]:
        return {one: self.extra[one] for one in ids if one in self.extra}

    def differences(self, most: int) -> list[Difference]:
        assert most == EXAMPLES
        return self.found


def read(
    built: FieldMapping, source: Listed, org: Read, sides: Sides, gone_field: str | None = None
) -> tuple[Reconciler, list[tuple[int, int]]]:
    """A verification of these sides, and its progress."""
    found = Reconciler(built, source, org, sides, gone_field)
    return found, [(one.salesforce, one.m3ter) for one in found.run()]


def payload(built: FieldMapping, m3ter_id: str | None, **values: object) -> bytes:
    """A record's values, of which those that are not named are empty."""
    return msgspec.json.encode([m3ter_id, *(values.get(name) for name in built.columns)])


def test_both_sides_have_the_same_form() -> None:
    options = EntityOptions(
        when_gone=WhenGone.FLAG,
        gone_field="Deleted__c",
        overwrite={"Code__c": Overwrite.IF_EMPTY, "Currency__c": Overwrite.IF_EMPTY},
    )
    built = mapping(options=options)
    names: dict[str, object] = {"Name": "n", "Account_Name__c": "n"}
    org = Read(
        built,
        s1=SalesforceRow("a", names | {"Code__c": "x"}),
        s2=SalesforceRow("b", {"Deleted__c": "true", "Code__c": "x", "Currency__c": "EUR"}),
        s3=SalesforceRow(None, {}),
    )
    source = Listed(
        [{"id": "a", "name": "n", "code": "c", "currency": None}],
        [{"id": "b", "name": "old"}, {"id": "b", "name": "n"}, {"id": "c", "name": []}],
    )
    sides = Sides()
    read(built, source, org, sides, "Deleted__c")
    assert sides.orgs == [org.organization_id]
    unflagged = payload(built, "a", **names, Deleted__c=False)
    flagged = payload(built, "b", Deleted__c=True)
    assert sides.salesforce == [
        SalesforceRecord("a", "s1", True, False, unflagged, empty=["Currency__c"]),
        SalesforceRecord("b", "s2", True, True, flagged, empty=[]),
    ]
    validator = TargetSchema(built, org).validator()
    raws = (b'{"id": "a", "name": "n", "code": "c"}', b'{"id": "b", "name": "n"}')
    prints = [one.fingerprint for raw in raws if (one := build_candidate(built, validator, raw))]
    assert sides.m3ter == [
        M3terRecord("a", prints[0], unflagged, filled={"Code__c": "c"}),
        M3terRecord("b", prints[1], payload(built, "b", **names, Deleted__c=False)),
        M3terRecord("c"),
    ]


def test_a_record_that_is_not_final_is_compared_as_such() -> None:
    built, sides = mapping("bill"), Sides()
    bills: list[Record] = [
        {"id": "open", "status": "PENDING"},
        {"id": "invalid", "status": "PENDING", "billDate": "soon"},
        {"id": "final", "status": "APPROVED"},
    ]
    read(built, Listed(bills), Read(built), sides)
    found = {one.m3ter_id: (one.final, bool(one.payload)) for one in sides.m3ter}
    assert found == {"open": (False, True), "invalid": (False, False), "final": (True, True)}


def test_the_progress_counts_the_records_of_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH", 2)
    built = mapping(options=EntityOptions(link=BY_CODE))
    rows = {f"s{n}": SalesforceRow(f"a{n}", {}) for n in range(3)}
    source = Listed([account(f"a{n}", code="c") for n in range(5)])
    sides = Sides(DiffCounts(extra=1))
    org = ReadTwice(built, **rows)
    org.calls = 7
    found, progress = read(built, source, org, sides)
    first = [(3, 0), (6, 0), (6, 2), (6, 4), (6, 5)]
    assert progress == [*first, (6, 7), (6, 9), (6, 10)]
    assert found.calls == org.calls - 7 == 3
    assert source.asked == [None, None]


class ReadTwice(Read):
    """An org that gives its records in two batches."""

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        yield from super().read_back(target, only)
        yield from super().read_back(target, only)


@pytest.mark.parametrize(
    ("queries", "selections"),
    [
        (1, [Selection(Column("Id"), ["s1", "s2", "s3"])]),
        (FEW_QUERIES, [Selection(Column("Id"), ["s1", "s2", "s3"])] * FEW_QUERIES),
        (FEW_QUERIES + 5, [Selection(Column("m3ter_Id__c"), [], or_empty=True)]),
    ],
)
def test_records_whose_external_id_was_edited_are_found(
    queries: int, selections: list[Selection]
) -> None:
    built, sides = mapping(), Sides()
    edited = {"s1": None, "s2": "edited", "s3": "d", "s4": None}
    org = Read(built, **{key: SalesforceRow(one, {}) for key, one in edited.items()})
    sides.lost, sides.queries = {"s1": "a", "s2": "b", "s3": "c"}, queries
    read(built, Listed([account(one) for one in "abcd"]), org, sides)
    assert org.selections == [None, *selections]
    assert sides.taken == min(queries, FEW_QUERIES + 1)
    found = {
        one.m3ter_id: (one.salesforce_id, one.payload)
        for one in sides.salesforce
        if one.external_id_changed
    }
    emptied = {"a": ("s1", payload(built, None))}
    renamed = {"b": ("s2", payload(built, "edited"))}
    assert found == (emptied if queries > FEW_QUERIES else emptied | renamed)


def test_an_example_names_the_fields_of_which_salesforce_has_another_value() -> None:
    built, sides = mapping(), Sides()
    both = payload(built, "x", Name="n", Code__c="edited"), payload(built, "a", Name="n")
    sides.found = [
        Difference("a", "s1", "changed", True, *both, {"Currency__c": "EUR"}),
        Difference("b", "s2", "extra", False, both[0], None),
        Difference("c", None, "missing", False, None, both[1]),
    ]
    found, _ = read(built, Listed(), Read(built), sides)
    fields: dict[str, tuple[Canonical, Canonical]] = {
        "m3ter_Id__c": ("a", "x"),
        "Code__c": (None, "edited"),
        "Currency__c": ("EUR", None),
    }
    assert found.examples == [
        Example("a", "s1", "changed", pending=True, fields=fields),
        Example("b", "s2", "extra", pending=False),
        Example("c", None, "missing", pending=False),
    ]


def test_the_value_of_a_field_is_read_from_a_payload_by_its_position() -> None:
    built = mapping()
    values = {name: f"value of {name}" for name in built.columns}
    stored = payload(built, "a", **values)
    places = range(len(built.columns))
    assert [value_in(stored, place) for place in places] == list(values.values())


def test_before_a_verification_nothing_is_found() -> None:
    found = Reconciler(mapping(), Listed(), Read(mapping()), Sides())
    assert (found.counts, found.examples, found.calls) == (DiffCounts(), [], 0)


@pytest.mark.parametrize(("theirs", "ours"), [(1, 0), (1, 1), (-1, -1)])
def test_payloads_of_other_columns_are_not_compared(theirs: int, ours: int) -> None:
    built, sides = mapping(), Sides()
    payloads = [msgspec.json.encode(["a"] * (len(built.columns) + 1 + n)) for n in (theirs, ours)]
    sides.found = [Difference("a", "s1", "changed", True, payloads[0], payloads[1])]
    with pytest.raises(ValueError, match="argument 2 is"):
        read(built, Listed(), Read(built), sides)


def test_a_row_with_a_value_too_few_is_not_read() -> None:
    class Short(Read):
        def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
            for rows in super().read_back(target, only):
                yield [replace(row, values=row.values[1:]) for row in rows]

    org = Short(mapping(), s=SalesforceRow("a", {}))
    with pytest.raises(ValueError, match="argument 2 is longer"):
        read(mapping(), Listed(), org, Sides())
