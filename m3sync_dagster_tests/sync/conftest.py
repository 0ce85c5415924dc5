"""An entity's mapping, and the engine between a source and a destination in memory."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import uuid4

import psycopg
import pytest

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.state import PostgresLedger, connect
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import RemoteError, SyncError
from m3sync_dagster.sync.fingerprint_basis_change import apply_basis_change
from m3sync_dagster.sync.interfaces import JobLog
from m3sync_dagster.sync.mapped_records import Mapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Group, Target, UnfinishedJob, Value
from m3sync_dagster.sync.salesforce_schema import (
    Organization,
    OrgIdentity,
    SalesforceField,
    SalesforceObject,
)
from m3sync_dagster.sync.target_schema import TargetSchema

Record = dict[str, object]
MOST_GROUPS = 50
"""More than any test sends."""


def mapping(
    entity: str = "account", options: EntityOptions | None = None, prefix: str = ""
) -> FieldMapping:
    return build_mapping(ENTITIES[entity], {entity: options or EntityOptions()}, prefix)


def row(built: FieldMapping, record: object) -> dict[str, object]:
    mapped = built.map(json.dumps(record).encode() if not isinstance(record, bytes) else record)
    assert isinstance(mapped, Mapped), mapped
    return dict(zip(built.columns, mapped.values, strict=True))


class Listed:
    """An m3ter with these pages."""

    organization_id = "m3ter-org"

    def __init__(self, *pages: Sequence[Record | bytes], accounts: Sequence[Record] = ()) -> None:
        self.pages = pages
        self.accounts = accounts
        self.asked: list[Sequence[str] | None] = []
        self.external: list[Record] = []

    def records(
        self, _entity: EntityType, account_ids: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        self.asked.append(account_ids)
        for page in self.pages:
            yield [r if isinstance(r, bytes) else json.dumps(r).encode() for r in page]

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        """Two on a page, those of the accounts alone."""
        wanted = [
            json.dumps(one).encode()
            for one in self.external
            if account_ids is None or one["m3terId"] in account_ids
        ]
        yield from (wanted[at : at + 2] for at in range(0, len(wanted), 2))

    def fetch(self, _entity: EntityType, m3ter_id: str, _parent: str | None = None) -> bytes | None:
        for record in (record for page in self.pages for record in page):
            if not isinstance(record, bytes) and record["id"] == m3ter_id:
                return json.dumps(record).encode()
        return None

    def matching_accounts(
        self, expression: AccountExpression, _account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        """Those of ``accounts``; if there are none, of the pages."""
        found = Listed(self.accounts) if self.accounts else self
        return MatchingAccounts(expression, lambda: found.records(ENTITIES["account"], None))


class Org:
    """A Salesforce that holds rows by their external id, and knows which parents it holds."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, object]] = {}
        self.sent: list[list[str]] = []
        self.ids: dict[str, str] = {}
        self.made = 0
        self.calls = 0
        self.refuse: dict[str, tuple[ErrorClass, str]] = {}
        self.dies_after: int | None = None
        self.left: dict[str, list[RowResult] | SyncError] = {}
        self.busy: dict[str, int] = {}
        self.tries: list[int] = []
        self.organization_id = "00D000000000001"
        self.described: SalesforceObject | None = None
        self.lengths: dict[str, int] = {}
        self.updated: list[dict[str, dict[str, object]]] = []
        self.no_such: set[str] = set()
        self.crm: dict[str, list[str]] = {}
        self.looked_for: list[Sequence[str]] = []

    def find_ids(
        self, _object_name: str, _field: str, values: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        self.looked_for.append(values)
        return {value: self.crm[value] for value in values if value in self.crm}

    def identity(self) -> OrgIdentity:
        return OrgIdentity(self.organization_id)

    def organization(self) -> Organization:
        return Organization(self.organization_id, "Acme", is_sandbox=True, instance="TEST1")

    def cached(self, _object_name: str) -> SalesforceObject | None:
        return self.described

    def custom_fields(self, _object_name: str) -> frozenset[str] | None:
        return None

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        assert not refresh
        self.calls += 1
        self.described = self._describe(object_name)
        return self.described

    def _describe(self, object_name: str) -> SalesforceObject:
        fields = {
            f.salesforce: SalesforceField(
                f.salesforce, "string", length=self.lengths.get(f.source, 0)
            )
            for f in ENTITIES["account"].fields
        }
        for name in ("m3ter_Id__c", "Other_Id__c"):
            fields[name] = SalesforceField(name, "string", external_id=True, unique=True)
        fields["Parent_Account__c"] = SalesforceField(
            "Parent_Account__c", "reference", relationship="Parent_Account__r"
        )
        return SalesforceObject(object_name, "Account", fields)

    def upsert(self, target: Target, group: Group, _jobs: JobLog) -> Iterator[list[RowResult]]:
        rows = list(group.rows)
        assert len(rows) == group.count
        self.sent.append([row.m3ter_id for row in rows])
        assert len(self.sent) < MOST_GROUPS, "the sync does not end"
        self.tries.append(group.tries)
        names = [column.field for column in target.columns]
        for row in rows:
            self.calls += 1
            if self.dies_after is not None and len(self.held) >= self.dies_after:
                raise RemoteError("the line is dead", "Mend it.")
            if self.busy.get(row.m3ter_id, 0) > group.tries:
                continue
            yield [self._take(row.m3ter_id, dict(zip(names, row.values, strict=True)))]

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        self.calls += 1
        ids = list(self.held) if only is None else [one for one in only.ids if one in self.held]
        yield [self._read(target, m3ter_id) for m3ter_id in ids]

    def retrieve(self, target: Target, salesforce_ids: Sequence[str]) -> Iterator[list[ReadRow]]:
        self.calls += 1
        wanted = [one for one in self.held if self.ids.get(one) in salesforce_ids]
        yield [self._read(target, m3ter_id) for m3ter_id in wanted]

    def _read(self, target: Target, m3ter_id: str) -> ReadRow:
        values = [self.held[m3ter_id].get(column.field) for column in target.columns]
        return ReadRow(m3ter_id, self.ids[m3ter_id], values)

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        results = self.left[job.job_id or job.object_name]
        if isinstance(results, SyncError):
            raise results
        yield results
        jobs.record_job_finished(job.job_id, "JobComplete")

    def update(
        self, _object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        self.calls += 1
        self.updated.append({key: dict(fields) for key, fields in changes.items()})
        yield [
            Rejected(key, ErrorClass.PERMANENT, "ENTITY_IS_DELETED", "entity is deleted")
            if key in self.no_such
            else Acknowledged(key, key, created=False)
            for key in changes
        ]

    def _take(self, m3ter_id: str, values: dict[str, object]) -> RowResult:
        parent = values["Parent_Account__c"]
        if parent is not None and parent not in self.held:
            return Rejected(m3ter_id, ErrorClass.DEPENDENCY, "INVALID_FIELD", f"{parent} not found")
        if m3ter_id in self.refuse:
            return Rejected(m3ter_id, *self.refuse[m3ter_id], "no")
        created = m3ter_id not in self.held
        self.held[m3ter_id] = values
        if created:
            self.made += 1
            self.ids[m3ter_id] = f"a01{self.made:012}"
        return Acknowledged(m3ter_id, self.ids.get(m3ter_id, f"a01-{m3ter_id}"), created)


Sync = Callable[..., dict[str, int]]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


@pytest.fixture
def sync(connection: psycopg.Connection) -> Sync:
    def run(
        source: Listed, org: Org, options: EntityOptions | None = None, *, full: bool = False
    ) -> dict[str, int]:
        entity_sync = prepared(connection, source, org, mapping(options=options))
        for _ in entity_sync.run(full=full):
            pass
        counts = entity_sync.counts.as_dict()
        assert counts["read"] == sum(counts.values()) - counts["read"]
        return {fate: number for fate, number in counts.items() if number}

    return run


def prepared(
    connection: psycopg.Connection, source: Listed, org: Org, built: FieldMapping
) -> EntitySync:
    """A sync whose basis has been checked, as a run does it."""
    ledger = PostgresLedger(connection, "acme", built.entity.name, uuid4().hex)
    schema = TargetSchema(built, org)
    apply_basis_change(built, source, ledger, org, schema)
    return EntitySync(built, source, ledger, org, schema)


def account(m3ter_id: str, **fields: object) -> Record:
    return {"id": m3ter_id, "name": f"Account {m3ter_id}", **fields}
