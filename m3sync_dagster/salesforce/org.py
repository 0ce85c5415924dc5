"""A Salesforce org, as the sync sees it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from m3sync_dagster.salesforce import sobject_collections
from m3sync_dagster.salesforce.credential import SalesforceCredential
from m3sync_dagster.salesforce.describe import describe
from m3sync_dagster.salesforce.ingest import MOST_BYTES, IngestJobs
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.outcome import RowResult
from m3sync_dagster.sync.ports import Group, JobLog, SalesforceObject, Target

SMALL = 2_000
"""Rows up to which sObject Collections need fewer calls than an ingest job.

Source: Salesforce Developer Limits and Allocations Quick Reference, "Bulk API and Bulk API 2.0".
"""


class SalesforceOrg:
    """Implements ``Destination``. Logs in at the first request, and may be used by many threads.

    Args:
        credential: how to log in.
        quota_share: the share of the org's daily API calls past which nothing more is written.
        most_bytes: size of an ingest job's file that is not exceeded.
        sleep: waits a number of seconds.
        clock: seconds that only grow, for deadlines.
    """

    def __init__(
        self,
        credential: SalesforceCredential,
        *,
        quota_share: float = 0.8,
        most_bytes: int = MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = Transport(credential, quota_share, sleep)
        self._ingest = IngestJobs(self.transport, most_bytes, sleep, clock)
        self._sleep = sleep
        self._described: dict[str, SalesforceObject] = {}

    @property
    def calls(self) -> int:
        """API calls made so far, logins and repetitions included."""
        return self.transport.calls

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the whole org has used and may use in 24 hours, as last heard."""
        return self.transport.usage

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; asked for once.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        if object_name not in self._described:
            self._described[object_name] = describe(self.transport, object_name)
        return self._described[object_name]

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows, the quick way or the large way; see ``Destination``.

        Raises:
            RateLimitError: the org's API calls are used past the set share.
            SyncError: Salesforce could not be asked; rows not yet handed over are not known to
                be in Salesforce, and may be.
        """
        if group.count <= SMALL or group.collections_only:
            return sobject_collections.upsert(self.transport, target, group, self._sleep)
        return self._ingest.upsert(target, group, jobs)

    def resume(self, job_id: str, target: Target, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Hand over what became of the rows of an ingest job that an earlier run has left.

        Rows that it does not name are to be sent again: the job may never have been closed.

        Raises:
            SyncError: Salesforce could not be asked, or the job does not end.
        """
        return self._ingest.resume(job_id, target, jobs)

    def query(self, soql: str) -> Iterator[dict[str, Any]]:
        """Run a SOQL query, page by page; numbers with a point are exact decimals.

        Raises:
            SyncError: the query was refused, or could not be read to its end.
        """
        for record in self.transport.client.query_all_iter(soql):
            yield dict(record)

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
