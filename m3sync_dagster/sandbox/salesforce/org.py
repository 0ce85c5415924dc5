"""The sandbox org: all that its endpoints share."""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.faults import Faults
from m3sync_dagster.sandbox.salesforce.field_values import Value
from m3sync_dagster.sandbox.salesforce.identity import Identity, random_id
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef, ObjectDef, Schema

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from m3sync_dagster.sandbox.salesforce.bulk_query import QueryJob
    from m3sync_dagster.sandbox.salesforce.deploy_endpoints import Deploy
    from m3sync_dagster.sandbox.salesforce.ingest_jobs import IngestJob
    from m3sync_dagster.sandbox.salesforce.query_endpoints import Cursor


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens the sandbox org. None of it opens anything else.

    Args:
        client_id, client_secret: of the connected app, for the client-credentials flow.
        username: the integration user that the app runs as.
        public_key: PEM text of the key that JWT bearer assertions are signed with; without it
            that flow is refused.
    """

    client_id: str = "sandbox-client-id"
    client_secret: str = field(default="sandbox-client-secret-not-a-secret", repr=False)
    username: str = "integration@sandbox.invalid"
    public_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Package:
    """A managed package that is installed: its name, and its namespace without underscores."""

    name: str
    namespace: str


@dataclass(slots=True)
class Usage:
    """API requests against a day's allowance."""

    max: int = 100_000
    used: int = 0


@dataclass(slots=True)
class Calls:
    """The API calls since the last reset: counts by template, and the latest one by one."""

    counts: Counter[str] = field(default_factory=Counter)
    latest: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))

    def note(self, method: str, template: str, path: str, status: int | None) -> None:
        """Counts a call. ``status`` is None where the client got no answer."""
        self.counts[f"{method} {template}"] += 1
        self.latest.append({"method": method, "path": path, "status": status})


class Org:
    """An org with its schema, its records and its sessions.

    Args:
        schema: objects and fields.
        credentials: what the token endpoint accepts.
        identity: which org this is; one that no other sandbox has by default.

    Attributes:
        packages: the managed packages that are installed.
        setup_readable: whether the user may view setup, which the Tooling API asks for.
        permission_sets: those that were deployed, by name.
    """

    def __init__(
        self, schema: Schema, credentials: Credentials, identity: Identity | None = None
    ) -> None:
        self.schema = schema
        self.credentials = credentials
        self.identity = identity or Identity()
        self.faults = Faults()
        self.usage = Usage()
        self.calls = Calls()
        self.batches = Usage(max=15_000)
        self.sessions: set[str] = set()
        self.cursors: dict[str, Cursor] = {}
        self.jobs: dict[str, IngestJob] = {}
        self.exports: dict[str, QueryJob] = {}
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
        """Ends running jobs and lets go of their files."""
        for close in self.closers:
            close()
        self.worker.shutdown(wait=True, cancel_futures=True)

    def serial(self) -> int:
        """A number that no other thing of this org has."""
        return next(self._serial)

    def object(self, name: str) -> ObjectDef:
        """The object with this API name.

        Raises:
            ApiError: there is none.
        """
        found = self.schema.find(name)
        if found is None:
            raise not_found()
        return found

    def table(self, name: str) -> Table:
        """The records of an object. Raises ``ApiError`` where there is no such object."""
        definition = self.object(name)
        return self._tables.setdefault(definition.name, Table(definition))

    def external_id(self, definition: ObjectDef, name: str) -> FieldDef:
        """The field under this name, which must be one that records can be matched by.

        Raises:
            ApiError: it is not.
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
        """Becomes another org at the same address, as a refreshed sandbox does.

        It has a new organization Id, no records, no jobs and no sessions; users keep their Ids.
        """
        for job in self.jobs.values():
            job.stop()
            job.settle()
        with self.lock:
            self.identity = replace(self.identity, organization_id=random_id("00D"))
            self.clear_records()
            for store in (self.jobs, self.exports, self.cursors, self.deploys, self.sessions):
                store.clear()

    def delete(self, table: Table, number: int) -> None:
        """Deletes a record and empties the lookups that point to it."""
        gone = table.id_of(number)
        with self.lock:
            table.remove(number)
            for child in self.schema:
                for lookup in child.fields.values():
                    if lookup.refers_to == table.definition.name:
                        _empty(self.table(child.name), lookup, gone)

    def records(self, name: str) -> list[dict[str, Any]]:
        """All records of an object by API name, with exact values: numbers are ``Decimal``."""
        table = self.table(name)
        fields = [f for f in table.definition.fields.values() if f.type != "Id"]
        places = [(f, table.slot(f)) for f in fields]
        with self.lock:
            rows = table.snapshot()
        return [
            {"Id": table.id_of(number)} | {f.name: _exact(f, values[slot]) for f, slot in places}
            for number, packed in rows
            if (values := table.unpack(packed))
        ]

    def spend(self) -> None:
        """Counts one API request.

        Raises:
            ApiError: the day's allowance is used up.
        """
        if self.usage.used >= self.usage.max:
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.usage.used += 1


def _empty(table: Table, lookup: FieldDef, gone: str) -> None:
    slot = table.slot(lookup)
    for number, values in list(table.scan()):
        if values[slot] == gone:
            values[slot] = None
            table.put(number, values)


def _exact(definition: FieldDef, value: Value) -> Value | Decimal:
    numeric = definition.type in NUMERIC and isinstance(value, str)
    return Decimal(str(value)) if numeric else value
