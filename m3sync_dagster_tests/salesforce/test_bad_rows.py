"""A large batch with bad rows of many kinds: good rows are written, bad rows are listed."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sandbox.salesforce import Credentials, Org, create_app
from m3sync_dagster.sandbox.salesforce.schema import ValidationRule, field_from_json
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.state import PostgresLedger, Reject, connect, list_rejects
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.fingerprint_basis_change import apply_basis_change
from m3sync_dagster.sync.interfaces import JobLog
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.row_results import RowResult
from m3sync_dagster.sync.row_types import Group, Target
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.salesforce.conftest import SECRET, Time

pytestmark = pytest.mark.slow

ROWS = 10_000
EACH = 300
ACCOUNTS = "m3ter_Account__c"
Record = dict[str, Any]


@dataclass(frozen=True)
class FieldKind:
    """A kind of bad row.

    Args:
        spoil: makes it one.
        error_class, code, reason: how it is listed; the reason is a regular expression.
        fields: the Salesforce fields that are named.
        sent: in how many of four runs in a row it is sent.
    """

    spoil: Record
    error_class: str
    code: str
    reason: str
    fields: tuple[str, ...] = ()
    sent: int = 0


KINDS = {
    "long": FieldKind(
        {"purchaseOrderNumber": "x" * 256},
        "invalid",
        "M3SYNC_INVALID_VALUE",
        "256 characters long, the field holds 255",
        ("Purchase_Order_Number__c",),
    ),
    "large": FieldKind(
        {"daysBeforeBillDue": 10**18},
        "invalid",
        "M3SYNC_INVALID_VALUE",
        "19 digits before the decimal point, the field holds 18",
        ("Days_Before_Bill_Due__c",),
    ),
    "dateless": FieldKind(
        {"billEpoch": "next week"}, "invalid", "M3SYNC_INVALID_VALUE", "billEpoch: .*not a date"
    ),
    "strange": FieldKind(
        {"customFields": {"tier": "platinum"}},
        "invalid",
        "M3SYNC_INVALID_VALUE",
        "'platinum' is not a value of this restricted picklist",
        ("Tier__c",),
    ),
    "nameless": FieldKind(
        {"id": None}, "invalid", "M3SYNC_INVALID_RECORD", "'None' is not the id of a record"
    ),
    "orphan": FieldKind(
        {"parentAccountId": "nobody"},
        "dependency",
        "INVALID_FIELD",
        "Foreign key external ID: nobody not found",
        sent=4,
    ),
    "ruled": FieldKind(
        {"code": "forbidden"},
        "permanent",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "^Not in this org$",
        ("Code__c",),
        sent=3,
    ),
    "double": FieldKind(
        {"emailAddress": "taken@example.com"},
        "permanent",
        "DUPLICATE_VALUE",
        "duplicate value found: Email_Address__c",
        ("Email_Address__c",),
        sent=3,
    ),
    "locked": FieldKind({}, "transient", "UNABLE_TO_LOCK_ROW", "^busy$", sent=4),
    "unheard": FieldKind(
        {}, "permanent", "BRAND_NEW_CODE", r"^oops \(a code m3sync does not know\)$", sent=3
    ),
}
"""The ten kinds; a record's id contains its kind."""


def records() -> dict[str, Record]:
    """The batch: bad rows are spread over it."""
    found: dict[str, Record] = {}
    names = list(KINDS)
    for number in range(ROWS):
        kind = names[number % 100 // 3] if number % 100 < 3 * len(names) else "good"
        m3ter_id = f"{kind}-{number}"
        found[m3ter_id] = {
            "id": m3ter_id,
            "name": f"Account {number}",
            "emailAddress": f"{number}@example.com",
            "customFields": {"tier": "gold"},
        }
        if kind != "good":
            found[m3ter_id] |= KINDS[kind].spoil
        if kind == "nameless":
            found[m3ter_id]["number"] = number
    return found


class Listed:
    organization_id = "m3ter-org"

    """An m3ter with these accounts."""

    def __init__(self, found: dict[str, Record]) -> None:
        self.found = found

    def records(
        self, _entity: EntityType, _accounts: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        yield [json.dumps(record).encode() for record in self.found.values()]

    def fetch(self, _entity: EntityType, m3ter_id: str, _parent: str | None = None) -> bytes | None:
        return json.dumps(self.found[m3ter_id]).encode() if m3ter_id in self.found else None

    def matching_accounts(
        self, expression: AccountExpression, _accounts: Sequence[str] | None
    ) -> MatchingAccounts:
        return MatchingAccounts(expression, lambda: self.records(ENTITIES["account"], None))

    def external_mappings(self, _accounts: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        yield []


class CountingClient(SalesforceClient):
    """Records the rows that are sent."""

    went: set[str]

    @property
    def sent(self) -> Counter[str]:
        return Counter(map(kind_of, self.went))

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        rows = list(group.rows)
        self.went.update(row.m3ter_id for row in rows)
        yield from super().upsert(target, replace(group, rows=rows), jobs)


def kind_of(m3ter_id: str) -> str:
    return "nameless" if m3ter_id.startswith("unknown-") else m3ter_id.partition("-")[0]


@pytest.fixture
def inside(_app: Any) -> Org:  # noqa: ANN401 - Starlette's state
    found: Org = _app.state.org
    return found


@pytest.fixture
def _app() -> Any:  # noqa: ANN401 - as above
    """An org with validation rules, and a record with a unique email address."""
    app = create_app(credentials=Credentials("the-app", SECRET))
    org: Org = app.state.org
    definition = org.object(ACCOUNTS)
    tier = {"type": "Picklist", "picklist": ["gold", "silver"], "restricted": True}
    org.schema.add_field(definition, field_from_json("Tier__c", tier))
    org.schema.change_field(definition, "Email_Address__c", {"unique": True})
    definition.rules.append(ValidationRule("Code__c", "forbidden", "Not in this org"))
    return app


Run = Callable[[], dict[str, int]]


@pytest.fixture
def org(_app: Any) -> Iterator[CountingClient]:  # noqa: ANN401 - as above
    with running(_app) as url:
        credential = ConnectedApp(url, "the-app", SECRET)
        found = CountingClient(credential, sleep=Time().sleep)
        found.transport.call(
            "PATCH",
            f"/sobjects/{ACCOUNTS}/m3ter_Id__c/squatter",
            json={"Email_Address__c": "taken@example.com"},
        )
        yield found
        found.close()


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


@pytest.fixture
def source(inside: Org) -> Listed:
    listed = Listed(records())
    for kind, message in (("locked", "busy"), ("unheard", "oops")):
        rows = {
            "object": ACCOUNTS,
            "external_ids": [m3ter_id for m3ter_id in listed.found if kind_of(m3ter_id) == kind],
            "code": KINDS[kind].code,
            "message": message,
        }
        inside.faults.add({"rows": rows, "times": None})
    return listed


@pytest.fixture
def run(connection: psycopg.Connection, source: Listed, org: CountingClient) -> Run:
    options = EntityOptions(custom_field_mappings={"tier": "Tier__c"})
    mapping = build_mapping(ENTITIES["account"], {"account": options}, "")

    def sync() -> dict[str, int]:
        org.went = set()
        ledger = PostgresLedger(connection, "acme", "account", uuid4().hex)
        schema = TargetSchema(mapping, org)
        apply_basis_change(mapping, source, ledger, org, schema)
        entity_sync = EntitySync(mapping, source, ledger, org, schema)
        for _ in entity_sync.run():
            pass
        return {fate: number for fate, number in entity_sync.counts.as_dict().items() if number}

    return sync


def check(rejects: list[Reject]) -> None:
    """Check that each bad row is listed, with its own reason."""
    counted = Counter(kind_of(reject.m3ter_id) for reject in rejects)
    assert counted == dict.fromkeys(KINDS, EACH)
    for reject in rejects:
        kind = KINDS[kind_of(reject.m3ter_id)]
        assert (reject.error_class, reject.code) == (kind.error_class, kind.code)
        assert re.search(kind.reason, reject.message)
        assert set(reject.fields) >= set(kind.fields)


def test_good_rows_are_written_and_each_bad_row_is_listed(
    run: Run, org: CountingClient, inside: Org, source: Listed, connection: psycopg.Connection
) -> None:
    bad = {"invalid": 5 * EACH, "waiting": EACH, "rejected": 4 * EACH}
    good = ROWS - sum(bad.values())
    assert run() == {"read": ROWS, "created": good, **bad}
    check(list_rejects(connection))
    held = {record["m3ter_Id__c"] for record in inside.records(ACCOUNTS)} - {"squatter"}
    assert held == {m3ter_id for m3ter_id in source.found if kind_of(m3ter_id) == "good"}
    assert org.sent == {"good": good} | {name: EACH for name, kind in KINDS.items() if kind.sent}

    for number in (2, 3, 4):
        assert run() == {"read": ROWS, "unchanged": good, **bad}
        assert org.sent == {name: EACH for name, kind in KINDS.items() if kind.sent >= number}
        check(list_rejects(connection))

    inside.faults.clear()
    inside.object(ACCOUNTS).rules.clear()
    whole = {key: record for key, record in records().items() if kind_of(key) == "good"}
    for key, record in source.found.items():
        if kind_of(key) != "good":
            source.found[key] = next(iter(whole.values())) | {
                "id": key,
                "name": record["name"],
                "emailAddress": f"{key}@example.com",
            }
    assert run() == {"read": ROWS, "unchanged": good, "created": ROWS - good}
    assert list_rejects(connection) == []
