"""The Salesforce client that a sync uses."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from m3sync_dagster.discovery.package_objects import KnownObject, Package
from m3sync_dagster.salesforce import sobject_collections, sobject_collections_by_id
from m3sync_dagster.salesforce.bulk_ingest import MOST_BYTES, IngestJobs
from m3sync_dagster.salesforce.bulk_job_poller import JobPoller
from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.describe import DescribeReader
from m3sync_dagster.salesforce.error_classification import blocking_error
from m3sync_dagster.salesforce.find_ids import find_ids
from m3sync_dagster.salesforce.org_inventory import (
    custom_fields,
    installed_packages,
    known_objects,
)
from m3sync_dagster.salesforce.org_links import OrgLinks
from m3sync_dagster.salesforce.organization import read_organization
from m3sync_dagster.salesforce.read_records import RecordQuery
from m3sync_dagster.salesforce.retry import ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.interfaces import DescribeCache, JobLog, LoginLog
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_results import RowResult
from m3sync_dagster.sync.row_types import COLLECTIONS_UP_TO, Group, Target, UnfinishedJob, Value
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity, SalesforceObject


class SalesforceClient:
    """Implements ``Destination``. Logs in at the first request; safe for use by many threads.

    Args:
        credential: how to log in.
        quota_share: the share of the org's daily API calls after which writing stops.
        most_bytes: the largest size of an ingest job's file.
        sleep: waits a number of seconds.
        clock: monotonic seconds, for deadlines.
        describes: describes that earlier runs have stored.
        logins: records each login.
    """

    def __init__(  # noqa: PLR0913 - tests replace each of them
        self,
        credential: ConnectedApp,
        *,
        quota_share: float = 0.8,
        most_bytes: int = MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        describes: DescribeCache | None = None,
        logins: LoginLog | None = None,
    ) -> None:
        self.transport = Transport(credential, quota_share, sleep, logins)
        poller = JobPoller(self.transport, sleep, clock)
        self._ingest = IngestJobs(self.transport, poller, most_bytes)
        self._record_query = RecordQuery(self.transport, poller)
        self._sleep = sleep
        self._organization: Organization | None = None
        self._describes = DescribeReader(self.transport, describes)

    @property
    def calls(self) -> int:
        """API calls sent so far, logins and retries included."""
        return self.transport.calls

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the org has used and may use in 24 hours, by the last response."""
        return self.transport.usage

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        """Describe an object; the org is asked once per run.

        Args:
            object_name: API name.
            refresh: read the describe again, without any cache.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return self._describes.describe(object_name, refresh=refresh)

    def cached(self, object_name: str) -> SalesforceObject | None:
        """The last describe of an object that this run or an earlier one has read."""
        return self._describes.cached(object_name)

    def custom_fields(self, object_name: str) -> frozenset[str] | None:
        """List an object's custom fields, including those hidden from this user.

        ``None`` where this user may not read the org's setup: then a missing field and a hidden
        one cannot be distinguished.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return custom_fields(self.transport, self.describe(object_name))

    def packages(self) -> list[Package] | None:
        """List the installed managed packages; ``None`` where this user may not read them.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return installed_packages(self.transport)

    def objects(self) -> list[KnownObject]:
        """List every object that is visible to this user.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return known_objects(self.transport)

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows by sObject Collections or by ingest jobs; see ``Destination``.

        Raises:
            RateLimitError: the org has used more API calls than the set share, or accepts no more
                rows now.
            SyncError: Salesforce could not be reached, or rejected the request. Rows without a
                result may have been written or not.
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
        """Read the results of a job that an earlier run did not finish.

        Rows without a result are sent again by the caller: the job may have been open still.

        Raises:
            DeadlineError: the job does not end within the time of a run.
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return self._ingest.resume(job, jobs)

    def read_back(self, target: Target, only: Selection | None) -> Iterator[list[ReadRow]]:
        """Read records, a batch at a time.

        Raises:
            SyncError: not all could be read.
        """
        return self._record_query.read(target, only)

    def retrieve(self, target: Target, salesforce_ids: Sequence[str]) -> Iterator[list[ReadRow]]:
        """Read records by their Salesforce Ids, 2,000 a call; those that do not exist are left out.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return self._record_query.retrieve(target, salesforce_ids)

    def find_ids(
        self, object_name: str, field: str, values: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """Find the Ids of the records with these values in a field; see ``LinkOrg``.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return find_ids(self.transport, object_name, field, values)

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Update fields of records by their Salesforce Ids, which are the ids of the results.

        Raises:
            RateLimitError: the org has used more API calls than the set share.
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return sobject_collections_by_id.update(self.transport, object_name, changes)

    def delete(self, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
        """Delete records by their Salesforce Ids, which are the ids of the results.

        Raises:
            RateLimitError: the org has used more API calls than the set share.
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return sobject_collections_by_id.delete(self.transport, salesforce_ids)

    def identity(self) -> OrgIdentity:
        """The org's Id and the user's Id; logs in first if necessary.

        Where the login response has no org Id, ``host:`` and the instance are used instead. Then a
        refreshed sandbox cannot be distinguished from the org before.

        Raises:
            SyncError: the login failed.
        """
        token = self.transport.token()
        return OrgIdentity(token.organization_id or f"host:{token.instance}", token.user_id)

    def organization(self) -> Organization:
        """Read the org's Organization record with one query in the life of the client.

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        if self._organization is None:
            self._organization = read_organization(self.transport)
        return self._organization

    def links(self) -> OrgLinks:
        """Links to the org's pages; logs in first if necessary.

        Raises:
            SyncError: the login failed.
        """
        return OrgLinks(self.transport.token().browser_url)

    def log_in(self) -> str:
        """Log in now, before the first request needs it; returns the org's host.

        Raises:
            SyncError: the login failed.
        """
        return self.transport.token().instance

    def limits(self) -> Mapping[str, Mapping[str, object]]:
        """Read the org's limits.

        Source: REST API Developer Guide, "Limits".

        Raises:
            SyncError: Salesforce could not be reached, or rejected the request.
        """
        return dict(self.transport.client().limits())

    def close(self) -> None:
        """Close the connections. The session is not logged out: other processes may share it."""
        self.transport.close()
