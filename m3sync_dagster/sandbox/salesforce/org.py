"""The sandbox org: the state that all its endpoints share."""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.deploy_request import Deploy
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.faults import Faults
from m3sync_dagster.sandbox.salesforce.field_values import Value, datetime_text
from m3sync_dagster.sandbox.salesforce.ingest_job import IngestJob
from m3sync_dagster.sandbox.salesforce.org_and_user import OrgAndUser, random_id
from m3sync_dagster.sandbox.salesforce.query_results import Cursor, QueryJob
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, USER, FieldDef, ObjectDef, Schema


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that the sandbox org accepts. No other system accepts them.

    Args:
        client_id, client_secret: those of the connected app, for the client-credentials flow.
        username: the integration user that the app runs as.
        public_key: the public key, in PEM, that verifies JWT bearer assertions; without it that
            flow is refused.
    """

    client_id: str = "sandbox-client-id"
    client_secret: str = field(default="sandbox-client-secret-not-a-secret", repr=False)
    username: str = "integration@sandbox.invalid"
    public_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed managed package: its name, and its namespace without underscores."""

    name: str
    namespace: str


@dataclass(slots=True)
class Usage:
    """The requests used of a daily limit."""

    max: int = 100_000
    used: int = 0


@dataclass(slots=True)
class Calls:
    """The API calls since the last reset: counts by path template, and a list of the latest."""

    counts: Counter[str] = field(default_factory=Counter)
    latest: deque[JsonObject] = field(default_factory=lambda: deque(maxlen=10_000))

    def add(self, method: str, template: str, path: str, status: int | None) -> None:
        """Counts a call. ``status`` is None if the client got no response."""
        self.counts[f"{method} {template}"] += 1
        self.latest.append({"method": method, "path": path, "status": status})


class Org:
    """An org: its schema, its records, its jobs and its sessions.

    Args:
        schema: objects and fields.
        credentials: what the token endpoint accepts.
        identity: the org's and the user's Ids; random by default.

    Attributes:
        packages: the managed packages that are installed.
        setup_readable: whether the user has the permission View Setup, which the Tooling API
            requires.
        permission_sets: the deployed permission sets by name.
        jobs, query_jobs: the ingest jobs and the query jobs by Id.
        batches: the internal batches of ingest jobs, against the daily limit.
    """

    def __init__(
        self, schema: Schema, credentials: Credentials, identity: OrgAndUser | None = None
    ) -> None:
        self.schema = schema
        self.credentials = credentials
        self.identity = identity or OrgAndUser()
        self.faults = Faults()
        self.usage = Usage()
        self.calls = Calls()
        self.batches = Usage(max=15_000)
        self.sessions: set[str] = set()
        self.cursors: dict[str, Cursor] = {}
        self.jobs: dict[str, IngestJob] = {}
        self.query_jobs: dict[str, QueryJob] = {}
        self.deploys: dict[str, Deploy] = {}
        self.permission_sets: dict[str, ET.Element] = {}
        self.packages: list[Package] = []
        self.setup_readable = True
        self.lock = threading.RLock()
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest")
        self.closers: list[Callable[[], None]] = []
        self._tables: dict[str, Table] = {}
        self._serial = itertools.count(1)

    def close(self) -> None:
        """Stops running jobs and deletes their files."""
        for close in self.closers:
            close()
        self.worker.shutdown(wait=True, cancel_futures=True)

    def new_id(self, key_prefix: str) -> str:
        """A new Id for something other than a record, such as a job."""
        return f"{key_prefix}{next(self._serial):012d}AAA"

    def object(self, name: str) -> ObjectDef:
        """The object with this API name.

        Raises:
            ApiError: there is no such object.
        """
        found = self.schema.find(name)
        if found is None:
            raise not_found()
        return found

    def table(self, name: str) -> Table:
        """The records of an object. Raises ``ApiError`` if there is no such object."""
        definition = self.object(name)
        return self._tables.setdefault(definition.name, Table(definition, self.identity.user_id))

    def external_id(self, definition: ObjectDef, name: str) -> FieldDef:
        """The field with this name, by which records can be looked up.

        Raises:
            ApiError: there is no such field, or it is neither an external ID nor unique.
        """
        found = definition.find(name)
        if found is None or not found.id_lookup:
            raise not_found()
        return found

    def clear_records(self) -> None:
        """Deletes every record of every object."""
        with self.lock:
            for table in self._tables.values():
                table.clear()

    def refresh(self) -> None:
        """Replaces the org with another one at the same URL, as refreshing a sandbox does.

        It has a new organization Id, no records, no jobs and no sessions; users keep their Ids.
        """
        for job in self.jobs.values():
            job.stop()
            job.settle()
        with self.lock:
            self.identity = replace(self.identity, organization_id=random_id("00D"))
            self.clear_records()
            for store in (self.jobs, self.query_jobs, self.cursors, self.deploys, self.sessions):
                store.clear()

    def delete(self, table: Table, number: int, *, hard: bool = False) -> None:
        """Deletes a record and clears the lookups that point to it.

        After a ``hard`` deletion ``queryAll`` does not find it either.
        """
        deleted_id = table.id_of(number)
        with self.lock:
            _stamp(table, number)
            (table.erase if hard else table.remove)(number)
            for child in self.schema:
                for lookup in child.fields.values():
                    if lookup.refers_to == table.definition.name:
                        _clear_lookup(self.table(child.name), lookup, deleted_id)

    def records(self, name: str) -> list[JsonObject]:
        """All records of an object by API name, with exact values: numbers are ``Decimal``.

        Lookups to the integration user are left out.
        """
        table = self.table(name)
        all_fields = table.definition.fields.values()
        fields = [f for f in all_fields if f.type != "Id" and f.refers_to != USER]
        slots = [(f, table.slot(f)) for f in fields]
        with self.lock:
            rows = table.snapshot()
        return [
            {"Id": table.id_of(number)} | {f.name: _exact(f, values[slot]) for f, slot in slots}
            for number, packed in rows
            if (values := table.unpack(packed))
        ]

    def count_request(self) -> None:
        """Counts one API request.

        Raises:
            ApiError: the daily limit is reached.
        """
        if self.usage.used >= self.usage.max:
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.usage.used += 1


def _stamp(table: Table, number: int) -> None:
    """Sets the time at which a record is deleted."""
    values = table.get(number)
    if values is not None:
        values[table.slot(table.definition.fields["SystemModstamp"])] = datetime_text(
            datetime.now(UTC)
        )
        table.put(number, values)


def _clear_lookup(table: Table, lookup: FieldDef, deleted_id: str) -> None:
    slot = table.slot(lookup)
    for number, values in list(table.scan()):
        if values[slot] == deleted_id:
            values[slot] = None
            table.put(number, values)


def _exact(definition: FieldDef, value: Value) -> Value | Decimal:
    numeric = definition.type in NUMERIC and isinstance(value, str)
    return Decimal(str(value)) if numeric else value
