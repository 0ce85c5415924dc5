"""A plan predicts, record by record, what the next run does: on 300 records of 30 awkward kinds."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, list_rejects
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapped_records import Unmapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.plan import Action, EntityPlan
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_results import Acknowledged, Count, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Target
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, mapping, prepared
from m3sync_dagster_tests.sync.fitting_object import fitting

COPIES = 10
"""Records of each kind."""
CODE_LENGTH = 255
"""Characters of the field under ``truncate``."""
OTHER = "another-account"


@dataclass(frozen=True)
class Kind:
    """A kind of record: its JSON texts before and now, and the action that is expected.

    Args:
        name: what is special about it.
        action: what the plan and the run do with it; ``None``: it is not counted.
        before: the fields of a bill that earlier runs have read; ``None``: it did not exist.
        now: the fields of a bill, or raw texts, that m3ter lists now.
        refused: whether Salesforce has permanently rejected it in the earlier runs.
    """

    name: str
    action: str | None
    before: Record | None
    now: Sequence[Record | str]
    refused: bool = False


LONG = "long code " * 40
REOPENED: Record = {"status": "PENDING"}
KINDS = [
    Kind("unchanged", "unchanged", {}, [{}]),
    Kind(
        "unchanged in all scripts",
        "unchanged",
        {"accountCode": "Ω漢字🎉"},
        [{"accountCode": "Ω漢字🎉"}],
    ),
    Kind(
        "keys in another order",
        "unchanged",
        {"a": 1, "timezone": "UTC"},
        [{"timezone": "UTC", "a": 2}],
    ),
    Kind("null instead of missing", "unchanged", {}, [{"purchaseOrderNumber": None}]),
    Kind("number with another zero", "update", {"billTotal": 1.5}, ['{"billTotal": 1.50}']),
    Kind("listed twice", "unchanged", {}, [{}, {}]),
    Kind(
        "cut text, changed behind the cut",
        "unchanged",
        {"accountCode": LONG},
        [{"accountCode": LONG + "."}],
    ),
    Kind("reopened before", "unchanged", REOPENED, [REOPENED]),
    Kind("changed", "update", {"accountCode": "old"}, [{"accountCode": "new"}]),
    Kind(
        "changed in all scripts",
        "update",
        {"accountCode": "Ω"},
        [{"accountCode": "\u202e\u05e2 👩\u200d👧 e\u0301\u2028"}],
    ),
    Kind("empty now", "update", {"accountCode": "old"}, [{"accountCode": ""}]),
    Kind("null now", "update", {"billTotal": 5}, [{"billTotal": None}]),
    Kind(
        "cut text, changed before the cut",
        "update",
        {"accountCode": LONG},
        [{"accountCode": "." + LONG}],
    ),
    Kind("reopened", "update", {}, [REOPENED]),
    Kind("listed twice, changed between", "update", {}, [{}, {"accountCode": "later"}]),
    Kind(
        "smallest difference of a number", "update", {"billTotal": 0.1}, [{"billTotal": 0.100001}]
    ),
    Kind("new", "create", None, [{}]),
    Kind("new in all scripts", "create", None, [{"accountCode": "naïve 🇩🇪 ﷽"}]),
    Kind("new with a text to cut", "create", None, [{"accountCode": "🎉" * CODE_LENGTH}]),
    Kind("new and listed twice", "create", None, [{}, {"accountCode": "later"}]),
    Kind("locked but not approved", "create", None, [{"status": "PENDING", "locked": True}]),
    Kind(
        "rejected before, other values now",
        "create",
        {},
        [{"accountCode": "corrected"}],
        refused=True,
    ),
    Kind("rejected before, the same values now", "paused", {}, [{}], refused=True),
    Kind("not a number", "invalid", {}, [{"billTotal": "many"}]),
    Kind("too many digits", "invalid", None, [{"billTotal": 10**13}]),
    Kind("half a surrogate pair", "invalid", {}, ['{"timezone": "\\ud83d"}']),
    Kind("key twice", "invalid", None, ['{"currency": "USD", "currency": "EUR"}']),
    Kind("not a date", "invalid", {}, [{"billDate": "2026-02-30"}]),
    Kind("new and not final", None, None, [REOPENED]),
    Kind("out of scope", None, None, [{"accountId": OTHER}]),
]


class BillOrg(Org):
    """An org with the object of bills; every parent of a bill is in it."""

    def __init__(self, built: FieldMapping) -> None:
        super().__init__()
        self._mapping = built
        self.results: dict[str, RowResult] = {}

    def _describe(self, _object_name: str) -> SalesforceObject:
        return fitting(self._mapping)

    def _take(self, m3ter_id: str, values: dict[str, object]) -> RowResult:
        result = super()._take(m3ter_id, values | {"Parent_Account__c": None})
        self.results[m3ter_id] = result
        return result

    def read_back(self, _target: Target, _only: Selection | None) -> Iterator[list[ReadRow]]:
        """The sample's present values, which no action depends on."""
        yield from ()


@pytest.fixture
def built() -> FieldMapping:
    scope = AccountFilter(restricted=frozenset({OTHER}))
    return mapping("bill", EntityOptions(truncate=frozenset({"accountCode"}), scope=scope))


def bill(m3ter_id: str, fields: Record | str) -> bytes:
    base = {"id": m3ter_id, "accountId": "account", "status": "APPROVED", "locked": False}
    if isinstance(fields, str):
        return (json.dumps(base)[:-1] + ", " + fields[1:]).encode()
    # A record of m3ter's is UTF-8, not escaped.
    return json.dumps(base | fields, ensure_ascii=False).encode()


def ids_of(kind: Kind) -> list[str]:
    return [f"{kind.name}: {n}" for n in range(COPIES)]


def run(
    connection: psycopg.Connection, org: BillOrg, built: FieldMapping, raws: list[bytes]
) -> Counter[Count]:
    """Run a sync, and return its counts."""
    pages = [raws[n : n + 70] for n in range(0, len(raws), 70)]
    sync = prepared(connection, Listed(*pages), org, built)
    for _ in sync.run():
        pass
    return sync.counts


def plan(
    connection: psycopg.Connection, org: BillOrg, built: FieldMapping, raws: list[bytes]
) -> Counter[Action]:
    """Plan a sync of these records, and return the number of each action."""
    ledger = PostgresLedger(connection, "acme", "bill", "plan")
    made = EntityPlan(built, Listed(raws), ledger, org)
    for _ in made.run():
        pass
    return +Counter(made.counts)


def action(m3ter_id: str, org: BillOrg, rejects: dict[str, str], synced: set[str]) -> str | None:
    """What the last run did with a record."""
    match org.results.get(m3ter_id):
        case Acknowledged(created=created):
            return "create" if created else "update"
        case Rejected():
            return "rejected"
    if m3ter_id in rejects:
        return "invalid" if rejects[m3ter_id] == ErrorClass.INVALID else "paused"
    return "unchanged" if m3ter_id in synced else None


def earlier_runs(connection: psycopg.Connection, org: BillOrg, built: FieldMapping) -> None:
    """Three runs before: reopened bills were approved in the first; rejected rows pause then."""
    refused = [m3ter_id for kind in KINDS if kind.refused for m3ter_id in ids_of(kind)]
    org.refuse = dict.fromkeys(refused, (ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION"))
    known = [
        (m3ter_id, kind.before)
        for kind in KINDS
        if kind.before is not None
        for m3ter_id in ids_of(kind)
    ]
    run(
        connection,
        org,
        built,
        [bill(m3ter_id, before | {"status": "APPROVED"}) for m3ter_id, before in known],
    )
    for _ in range(2):
        run(connection, org, built, [bill(m3ter_id, before) for m3ter_id, before in known])
    org.refuse.clear()
    org.results.clear()


def test_a_run_does_with_each_record_what_the_plan_said(
    connection: psycopg.Connection, built: FieldMapping
) -> None:
    org = BillOrg(built)
    earlier_runs(connection, org, built)
    listed = {
        m3ter_id: [bill(m3ter_id, fields) for fields in kind.now]
        for kind in KINDS
        for m3ter_id in ids_of(kind)
    }
    each = {m3ter_id: plan(connection, org, built, raws) for m3ter_id, raws in listed.items()}
    order = list(listed)
    random.Random(4).shuffle(order)  # noqa: S311 - the same order in every run
    raws = [raw for m3ter_id in order for raw in listed[m3ter_id]]
    whole = plan(connection, org, built, raws)
    assert org.results == {}  # a plan sends nothing

    counts = run(connection, org, built, raws)

    rejects = {one.m3ter_id: one.error_class for one in list_rejects(connection)}
    synced = set(PostgresLedger(connection, "acme", "bill", "test").acknowledged(order))
    done = {m3ter_id: action(m3ter_id, org, rejects, synced) for m3ter_id in order}
    expected = {m3ter_id: kind.action for kind in KINDS for m3ter_id in ids_of(kind)}
    planned = {m3ter_id: next(iter(found), None) for m3ter_id, found in each.items()}
    assert len(done) == len(KINDS) * COPIES == 300
    assert done == planned == expected
    assert whole == sum(each.values(), Counter())
    assert whole == {
        "create": counts[Count.CREATED],
        "update": counts[Count.UPDATED],
        "unchanged": counts[Count.UNCHANGED],
        "invalid": counts[Count.INVALID],
        "paused": counts[Count.REJECTED],
    }


def test_records_without_a_usable_id_are_invalid_in_both(
    connection: psycopg.Connection, built: FieldMapping
) -> None:
    raws = [b"{}", b'{"id": " blank "}', b'{"id": 7}', b"[]", b"not JSON", b"\xff", b'{"id": "a"']
    org = BillOrg(built)
    names = {
        found.rejected.m3ter_id for raw in raws if isinstance(found := built.map(raw), Unmapped)
    }
    assert plan(connection, org, built, raws) == {"invalid": len(raws)}
    assert +run(connection, org, built, raws) == {Count.INVALID: len(raws)}
    assert {one.m3ter_id for one in list_rejects(connection)} == names
    assert len(names) == len(raws)
