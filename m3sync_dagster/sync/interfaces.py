"""What the engine needs: Source (m3ter), Ledger (PostgreSQL) and Destination (Salesforce).

The package ``sync`` decides what to send, and uses these three only through the protocols below.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_link_types import LinkOrg
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.known_rows import KnownRows
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_matches import RecordMatches
from m3sync_dagster.sync.row_results import Rejected, RowResult
from m3sync_dagster.sync.row_types import (
    Group,
    RecordHash,
    ReplacedRecord,
    Row,
    StagedRow,
    Target,
    UnfinishedJob,
    Value,
)
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity


class JobLog(Protocol):
    """The record of ingest jobs, so that none is lost in a crash."""

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        """Record that a job is about to be created; at most one such job at a time."""
        ...

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Record the id of the created job; called before its data is sent."""
        ...

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        """Record that all results of a job were read; ``None`` means the requested job."""
        ...

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that no integration has recorded."""
        ...

    def is_other_job_requested(self, object_name: str) -> bool:
        """Whether another integration has requested a job on an object whose id is unknown."""
        ...


class Ledger(JobLog, KnownRows, Protocol):
    """The state of one entity of one integration: acknowledged, staged and rejected rows."""

    def matches(self) -> RecordMatches:
        """The records of the staged rows; none are known yet."""
        ...

    def basis(self) -> FingerprintBasis | None:
        """The basis of the stored fingerprints; ``None`` if none is stored."""
        ...

    def set_basis(
        self, basis: FingerprintBasis, change: BasisChange, organization: Organization | None
    ) -> None:
        """Store the basis of fingerprints, and withdraw those of another basis.

        In one transaction, which also deletes staged rows and ends the pauses of rejected rows.
        The organization is stored for display.
        """
        ...

    def withdraw_all(self) -> None:
        """Withdraw every fingerprint of the entity, and end the pauses of its rejected rows."""
        ...

    def withdraw(self, ids: Sequence[str]) -> None:
        """Withdraw the fingerprints of these records, so that the next run sends them."""
        ...

    def delete_synced(self, ids: Sequence[str]) -> None:
        """Delete the stored state of these records: they are no longer in Salesforce."""
        ...

    def synced_ids(self, size: int) -> Iterator[dict[str, str]]:
        """Yield the m3ter ids of the records in Salesforce by Salesforce Id, ``size`` at a time."""
        ...

    def has_cut_rows(self) -> bool:
        """Whether a synced row has a text that was cut to its field's length."""
        ...

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Return the ingest jobs in this org whose results are not all recorded, oldest first.

        Their rows are still staged with the fingerprints that were sent, so their results can be
        recorded until ``clear``.
        """
        ...

    def clear(self) -> None:
        """Delete the rows that an earlier run left staged."""
        ...

    def confirm(self, seen: Sequence[RecordHash]) -> None:
        """Store the digests of JSON texts whose rows are equal to the acknowledged ones."""
        ...

    def keep_paused(self, rejected: Sequence[Rejected]) -> None:
        """Record that this run has read these paused records, so that they stay rejected."""
        ...

    def stage(self, rows: Sequence[StagedRow]) -> None:
        """Store rows to send, and withdraw their records' fingerprints, in one transaction.

        A record that is staged again replaces the earlier row.
        """
        ...

    def ready(self, *, all_rows: bool) -> list[tuple[int, int]]:
        """Return the group keys of staged rows that can be sent next, with their row counts.

        Args:
            all_rows: also rows whose ``sibling`` is itself still staged.
        """
        ...

    def staged(self, group_keys: Sequence[int], *, all_rows: bool) -> Iterator[Row]:
        """Read the staged rows of these groups, sorted by parent."""
        ...

    def staged_values(self, ids: Sequence[str]) -> dict[str, list[Value]]:
        """Return the values of the staged rows of these records, by m3ter id."""
        ...

    def synced_parents(
        self, ids: Sequence[str], entities: Sequence[str]
    ) -> list[tuple[str, str, str]]:
        """Return the parents of staged rows that earlier runs have synced to Salesforce.

        Args:
            ids: m3ter ids of the staged rows.
            entities: the entity types that their lookups refer to.

        Returns:
            For each such parent: the row's m3ter id, the parent's entity type and m3ter id.
        """
        ...

    def record(self, results: Sequence[RowResult]) -> list[ReplacedRecord]:
        """Store results of rows in one transaction, and delete these rows from the staged ones.

        The fingerprint of an acknowledged row is compared with from now on. A result whose row is
        not staged is ignored.

        Returns:
            Acknowledged records that had another Salesforce Id before. The fingerprints of all
            records that point to them are withdrawn, because their lookups are empty now.
        """
        ...

    def mark_rejects_stale(self) -> None:
        """Let ``delete_stale_rejects`` delete what is recorded so far, unless it is again."""
        ...

    def delete_stale_rejects(self) -> None:
        """Delete rejects that this run has not recorded again."""
        ...


class LoginLog(Protocol):
    """The record of logins with one credential."""

    def succeeded(self, organization_id: str | None, instance_url: str | None) -> None:
        """Record a login that succeeded.

        Args:
            organization_id: the organization that it opened, if the answer names it.
            instance_url: where a browser shows its records, if it is known.
        """
        ...

    def failed(self, error: SyncError) -> None:
        """Record a login that failed."""
        ...


class DescribeCache(Protocol):
    """The describes of an org's objects, kept from run to run."""

    def read(self, object_name: str) -> tuple[bytes, str] | None:
        """Return an object's describe as it was received, and its time stamp."""
        ...

    def write(self, object_name: str, body: bytes, last_modified: str) -> None:
        """Store an object's describe; it replaces an earlier one."""
        ...


class Source(Protocol):
    """The m3ter organization that records are read from."""

    @property
    def organization_id(self) -> str:
        """Id of the m3ter organization."""
        ...

    def records(
        self, entity: EntityType, account_ids: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        """List every record of a type, newest first, a page at a time.

        Args:
            entity: the type.
            account_ids: only the records of these accounts, if m3ter can select; ``None``: all.

        Yields:
            The raw JSON text of each record of a page, which may be empty.

        Raises:
            SyncError: the list could not be read to its end.
        """
        ...

    def fetch(self, entity: EntityType, m3ter_id: str, parent: str | None = ...) -> bytes | None:
        """Read one record by its id; see ``M3terSource.fetch``.

        Returns:
            The record's JSON text, which may have more fields than in the list; ``None`` where
            m3ter says that the record does not exist.

        Raises:
            SyncError: m3ter did not say whether it exists.
        """
        ...

    def matching_accounts(
        self, expression: AccountExpression, account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        """Which accounts satisfy an expression; they are read once, at the first look-up.

        Args:
            expression: the expression.
            account_ids: only these accounts; ``None`` for all.
        """
        ...

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        """List the external mappings of all external systems, or of these accounts alone.

        Yields:
            The raw JSON text of each mapping of a page.

        Raises:
            SyncError: the list could not be read to its end.
        """
        ...


class Destination(LinkOrg, Protocol):
    """The Salesforce org that rows are sent to."""

    @property
    def calls(self) -> int:
        """API calls made so far, logins included."""
        ...

    def identity(self) -> OrgIdentity:
        """Log in, unless that was done before, and return the org's identity.

        Raises:
            SyncError: the login failed.
        """
        ...

    def organization(self) -> Organization:
        """Read the org's name and kind.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        ...

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        """Read records, a batch at a time; see ``reconcile_types.Org``."""
        ...

    def retrieve(
        self, target: Target, salesforce_ids: Sequence[str]
    ) -> Iterator[Sequence[ReadRow]]:
        """Read records by Salesforce Id; those that do not exist are left out.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        ...

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Update fields of records by Salesforce Id; the results name the records by it.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        ...

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows, and yield Salesforce's result of each, a batch at a time.

        Every row of the group has one result, in any order. For the first few tries, rows that met
        a temporary error may have none: the caller sends them again. At the last try each of them
        is a ``Rejected``.

        Raises:
            SyncError: Salesforce could not be reached, or refused; rows without a result may or
                may not be in Salesforce.
        """
        ...

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Yield the results of the rows of an earlier run's job.

        Rows without a result are to be sent again.

        Raises:
            DeadlineError: the job does not end in the time that a run has.
            SyncError: Salesforce could not be reached, or refused.
        """
        ...
