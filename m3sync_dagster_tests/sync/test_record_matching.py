"""The records of staged rows are found with few calls; what they hold already is kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from m3sync_dagster.sync import record_matching
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_matching import RecordMatching, is_empty, needs_matching
from m3sync_dagster.sync.row_results import NO_RECORD, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Column, MatchedRecord, Row, Target
from m3sync_dagster_tests.sync.conftest import Org, mapping

UPDATE_ONLY = EntityOptions(match=Match.UPDATE_ONLY)
KEEPING = EntityOptions(
    constants={"Segment__c": "EMEA"},
    overwrite=dict.fromkeys(("Segment__c", "Code__c"), Overwrite.IF_EMPTY),
)
TARGET = Target("m3ter_Account__c", "m3ter_Id__c", ())


@dataclass
class Matches:
    """The matches of staged rows, whose stored Salesforce Ids are given."""

    staged: dict[str, str | None]
    found: dict[str, MatchedRecord | None] = field(default_factory=dict)

    def forget(self) -> None:
        self.found.clear()

    def count_unmatched(self) -> int:
        return len(self.unmatched())

    def unmatched(self) -> dict[str, str | None]:
        return {one: known for one, known in self.staged.items() if one not in self.found}

    def add(self, found: Sequence[MatchedRecord]) -> None:
        self.found |= {one.m3ter_id: one for one in found if one.m3ter_id in self.staged}

    def finish(self) -> None:
        self.found |= dict.fromkeys(self.unmatched())

    def without_record(self, size: int) -> Iterator[list[str]]:
        ids = [one for one, record in self.found.items() if record is None]
        yield from (ids[at : at + size] for at in range(0, len(ids), size))

    def complete(self, rows: Iterable[Row]) -> Iterator[Row]:
        yield from (replace(row, salesforce_id="completed") for row in rows)


class Records(Org):
    """An org with records, of which two are returned at a time."""

    def __init__(self, *records: ReadRow) -> None:
        super().__init__()
        self.records = records
        self.asked: list[tuple[Target, Selection | Sequence[str] | None]] = []

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        self.asked.append((target, only))
        yield from self._batches(lambda one: only is None or one.m3ter_id in only.ids)

    def retrieve(self, target: Target, salesforce_ids: Sequence[str]) -> Iterator[list[ReadRow]]:
        self.asked.append((target, salesforce_ids))
        yield from self._batches(lambda one: one.salesforce_id in salesforce_ids)

    def _batches(self, is_wanted: Callable[[ReadRow], bool]) -> Iterator[list[ReadRow]]:
        wanted = [one for one in self.records if is_wanted(one)]
        yield from (wanted[at : at + 2] for at in range(0, len(wanted), 2))


def by_external_id(*ids: str) -> Selection:
    return Selection(Column("m3ter_Id__c"), ids)


def record(m3ter_id: str | None, salesforce_id: str, *values: object) -> ReadRow:
    return ReadRow(m3ter_id, salesforce_id, values)


def match(matches: Matches, org: Org, options: EntityOptions = UPDATE_ONLY) -> list[list[str]]:
    """The m3ter ids of the rows without a record, in batches."""
    matching = RecordMatching(mapping(options=options), matches, org)
    return [[one.m3ter_id for one in batch] for batch in matching.match()]


@pytest.mark.parametrize(
    ("options", "is_needed"),
    [(EntityOptions(), False), (UPDATE_ONLY, True), (KEEPING, True)],
)
def test_records_are_needed_to_update_alone_and_to_keep_values(
    options: EntityOptions, *, is_needed: bool
) -> None:
    assert needs_matching(mapping(options=options)) is is_needed


def test_nothing_is_asked_if_every_row_is_matched() -> None:
    org = Records()
    assert match(Matches({"a": None}, {"a": None}), org) == []
    assert org.asked == []


@pytest.mark.parametrize(
    ("few", "asked"),
    [
        (4, [["s-b", "s-old"], by_external_id("a", "c", "d")]),
        (3, [None]),
    ],
)
def test_few_rows_are_looked_up_and_for_many_all_records_are_read(
    few: int, asked: list[Selection | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_matching, "FEW", few)
    matches = Matches({"d": None, "b": "s-b", "c": None, "a": "s-old"})
    org = Records(
        record(None, "s-none"),
        record("of another row", "s-old"),
        record("a", "s-a"),
        record("b", "s-b"),
        record("d", "s-d"),
    )
    assert match(matches, org) == [["c"]]
    assert [target for target, _ in org.asked] == [TARGET] * len(asked)
    found = [
        replace(one, ids=tuple(one.ids)) if isinstance(one, Selection) else one
        for _, one in org.asked
    ]
    assert found == asked
    assert matches.found == {
        "a": MatchedRecord("a", "s-a"),
        "b": MatchedRecord("b", "s-b"),
        "c": None,
        "d": MatchedRecord("d", "s-d"),
    }


def test_ids_are_queried_in_sorted_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_matching, "QUERY_IDS", 2)
    monkeypatch.setattr(record_matching, "BATCH", 3)
    org = Records()
    assert match(Matches(dict.fromkeys("ecadb")), org) == [["e", "c", "a"], ["d", "b"]]
    key = Column("m3ter_Id__c")
    parts = [Selection(key, ids) for ids in (["a", "b"], ["c", "d"], ["e"])]
    assert [only for _, only in org.asked] == parts


def test_values_that_are_not_empty_are_kept() -> None:
    built = mapping(options=KEEPING)
    code, segment = built.columns.index("Code__c"), built.columns.index("Segment__c")
    matches = Matches(dict.fromkeys("abcdef"))
    org = Records(
        record("a", "s-a", "theirs", "theirs"),
        record("b", "s-b", None, "theirs"),
        record("c", "s-c", "theirs", ""),
        record("d", "s-d", False, 0),
        record("e", "s-e", None, ""),
    )
    assert match(matches, org, KEEPING) == [], "an upsert creates what is missing"
    ((target, _),) = org.asked
    assert target == replace(TARGET, columns=(Column("Code__c"), Column("Segment__c")))
    assert {one: found and found.kept for one, found in matches.found.items()} == {
        "a": (code, segment),
        "b": (segment,),
        "c": (code,),
        "d": (code, segment),
        "e": (),
        "f": None,
    }


def test_an_answer_with_other_columns_is_refused() -> None:
    for values in (("theirs",), ("theirs", "theirs", "theirs")):
        with pytest.raises(ValueError, match="zip"):
            match(Matches({"a": None}), Records(record("a", "s-a", *values)), KEEPING)


def test_a_row_without_a_record_waits() -> None:
    matching = RecordMatching(mapping(options=UPDATE_ONLY), Matches({"a": None}), Records())
    cause = (
        "Salesforce has no m3ter_Account__c whose m3ter_Id__c is a, and match: update_only creates "
        "none"
    )
    assert list(matching.match()) == [[Rejected("a", ErrorClass.DEPENDENCY, NO_RECORD, cause)]]


def test_rows_are_completed_and_matched_again() -> None:
    matches = Matches({"a": None})
    matching = RecordMatching(mapping(options=UPDATE_ONLY), matches, Records())
    assert list(matching.match())
    assert list(matching.match()) == []
    matching.forget()
    assert list(matching.match())
    assert list(matching.complete([Row("a", [])])) == [Row("a", [], salesforce_id="completed")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, True), ("", True), (" ", False), (0, False), (False, False), ("x", False)],
)
def test_what_is_empty(value: object, *, expected: bool) -> None:
    assert is_empty(value) is expected
