"""A Salesforce org, as the sync sees it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from m3sync_dagster.discovery.mapping_proposal import KnownObject, Package
from m3sync_dagster.salesforce import sobject_collections
from m3sync_dagster.salesforce import sobject_collections_by_id as by_id
from m3sync_dagster.salesforce.bulk_ingest import MOST_BYTES, IngestJobs
from m3sync_dagster.salesforce.bulk_job import JobPoller
from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.describe import Describer
from m3sync_dagster.salesforce.errors import blocking_error
from m3sync_dagster.salesforce.organization import read_organization
from m3sync_dagster.salesforce.query import RecordQuery
from m3sync_dagster.salesforce.retry import ROWS
from m3sync_dagster.salesforce.tooling import (
    custom_fields,
    installed_packages,
    known_objects,
)
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.interfaces import DescribeCache, JobLog
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.results import RowResult, Value
from m3sync_dagster.sync.rows import COLLECTIONS_UP_TO, Group, Target, UnfinishedJob
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity, SalesforceObject


class SalesforceClient:
    """Implements ``Destination``. Logs in at the first request, and may be used by many threads.

    Args:
        credential: how to log in.
        quota_share: the share of the org's daily API calls past which nothing more is written.
        most_bytes: size of an ingest job's file that is not exceeded.
        sleep: waits a number of seconds.
        clock: seconds that only grow, for deadlines.
        describes: what the org said of its objects in earlier runs.
    """

    def __init__(  # noqa: PLR0913 - each can be exchanged by a test
        self,
        credential: ConnectedApp,
        *,
        quota_share: float = 0.8,
        most_bytes: int = MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        describes: DescribeCache | None = None,
    ) -> None:
        self.transport = Transport(credential, quota_share, sleep)
        poller = JobPoller(self.transport, sleep, clock)
        self._ingest = IngestJobs(self.transport, poller, most_bytes)
        self._read_back = RecordQuery(self.transport, poller)
        self._sleep = sleep
        self._describer = Describer(self.transport, describes)

    @property
    def calls(self) -> int:
        """API calls made so far, logins and repetitions included."""
        return self.transport.calls

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the whole org has used and may use in 24 hours, as last heard."""
        return self.transport.usage

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        """Read what the org says of an object now; asked for once.

        Args:
            object_name: API name.
            refresh: ask even for what would be unchanged since it was last read.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        return self._describer.describe(object_name, refresh=refresh)

    def cached(self, object_name: str) -> SalesforceObject | None:
        """Give what was last read of an object, by this run or an earlier one."""
        return self._describer.cached(object_name)

    def custom_fields(self, object_name: str) -> frozenset[str] | None:
        """Name an object's custom fields, seen by this user or not.

        ``None`` where this user may not read the org's setup, so that a field that is not there
        and one that is hidden look the same.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return custom_fields(self.transport, self.describe(object_name))

    def packages(self) -> list[Package] | None:
        """List the installed managed packages; ``None`` where this user may not ask.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return installed_packages(self.transport)

    def objects(self) -> list[KnownObject]:
        """List every object that this user sees.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return known_objects(self.transport)

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows, the quick way or the large way; see ``Destination``.

        Raises:
            RateLimitError: the org's API calls are used past the set share, or it takes no more
                rows for now.
            SyncError: Salesforce could not be asked; rows not yet handed over are not known to
                be in Salesforce, and may be.
        """
        failure: SyncError | None = None
        for results in self._upsert(target, group, jobs):
            failure = failure or blocking_error(results, target.object)
            yield results
        if failure:
            raise failure

    def _upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        if group.tries:
            self._sleep(ROWS.delay(group.tries))
        if group.count <= COLLECTIONS_UP_TO or group.collections_only:
            return sobject_collections.upsert(self.transport, target, group, self._sleep)
        return self._ingest.upsert(target, group, jobs)

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Hand over what became of the rows of a job that an earlier run has left.

        Rows that it does not name are to be sent again: the job may never have been closed.

        Raises:
            DeadlineError: the job does not end in the time that a run has.
            SyncError: Salesforce could not be asked.
        """
        return self._ingest.resume(job, jobs)

    def query(self, soql: str) -> Iterator[dict[str, Any]]:
        """Run a SOQL query, page by page; numbers with a point are exact decimals.

        Raises:
            SyncError: the query was refused, or could not be read to its end.
        """
        for record in self.transport.client.query_all_iter(soql):
            yield dict(record)

    def read_back(self, target: Target, only: Selection | None) -> Iterator[list[ReadRow]]:
        """Read records, a batch at a time.

        Raises:
            SyncError: they could not be read to the end.
        """
        return self._read_back.read(target, only)

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Give fields of records new values by their Ids, under which the results name them.

        Raises:
            RateLimitError: the org's API calls are used past the set share.
            SyncError: Salesforce could not be asked.
        """
        return by_id.update(self.transport, object_name, changes)

    def delete(self, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
        """Delete records by their Salesforce Ids, under which the results name them.

        Raises:
            RateLimitError: the org's API calls are used past the set share.
            SyncError: Salesforce could not be asked.
        """
        return by_id.delete(self.transport, salesforce_ids)

    def identity(self) -> OrgIdentity:
        """Say which org this is, and as which user we act; logs in where that has not been done.

        Where the login does not name the org, ``host:`` and the instance stand for it: a refreshed
        sandbox then looks like the org before.

        Raises:
            SyncError: the login failed.
        """
        token = self.transport.token
        return OrgIdentity(token.organization_id or f"host:{token.instance}", token.user_id)

    def organization(self) -> Organization:
        """Read what the org says of itself, with one query.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return read_organization(self.transport)

    def log_in(self) -> str:
        """Log in now and not at the first need; gives the host of the org.

        Raises:
            SyncError: the org does not let us in.
        """
        return self.transport.token.instance

    def limits(self) -> dict[str, Any]:
        """Read the org's limits.

        Source: REST API Developer Guide, "Limits".

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return dict(self.transport.client.limits())

    def close(self) -> None:
        """Close the connections; nothing is logged out, since others may share the session."""
        self.transport.close()
