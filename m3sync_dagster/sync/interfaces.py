"""What the engine needs: Source (m3ter), Ledger (PostgreSQL) and Destination (Salesforce).

The package ``sync`` decides what to send, and uses these three through the protocols below alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.claims import BasisChange, ClaimBasis
from m3sync_dagster.sync.results import Rejected, Row, RowResult, Value
from m3sync_dagster.sync.rows import (
    Group,
    RecordHash,
    ReplacedRecord,
    StagedRow,
    Target,
    UnfinishedJob,
)
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity


class JobLog(Protocol):
    """Where ingest jobs are written down, so that a crash forgets none."""

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        """A job is about to be created; no other is on its way at the same time."""
        ...

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Salesforce has created the requested job; called before its data is sent."""
        ...

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        """All of a job's results have been handed over; ``None`` means the one requested."""
        ...

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Tell which of these jobs no integration has written down."""
        ...

    def is_other_job_requested(self, object_name: str) -> bool:
        """Whether another integration has requested a job on an object and not learned its id."""
        ...


class KnownRows(Protocol):
    """What is stored about earlier runs' rows of one entity, for reading alone."""

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Tell which JSON texts are not those of acknowledged rows, by their positions."""
        ...

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        """Give the fingerprints of the records that Salesforce holds, by m3ter id.

        ``None`` stands for a fingerprint that was withdrawn: Salesforce holds the record, and
        it is not certain with which values.
        """
        ...

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        """Tell which records' rows Salesforce has rejected as they are, and are not due yet."""
        ...


class Ledger(JobLog, KnownRows, Protocol):
    """What is known of one entity of one integration: what Salesforce holds, what waits to go."""

    def basis(self) -> ClaimBasis | None:
        """What the stored fingerprints are about; ``None`` where that was never stored."""
        ...

    def set_basis(
        self, basis: ClaimBasis, change: BasisChange, organization: Organization | None
    ) -> None:
        """Store what fingerprints are about from now on, and withdraw those that say nothing now.

        One transaction. Rows that wait to be sent, and the pauses of rejected rows, end with it.
        The organization is stored to be shown.
        """
        ...

    def withdraw_all(self) -> None:
        """Withdraw every fingerprint of the entity, and end the pauses of its rejected rows."""
        ...

    def withdraw(self, ids: Sequence[str]) -> None:
        """Withdraw the fingerprints of these records, so that the next run sends them."""
        ...

    def forget(self, ids: Sequence[str]) -> None:
        """Drop what is stored of these records: Salesforce does not hold them any longer."""
        ...

    def keyed(self, size: int) -> Iterator[dict[str, str]]:
        """Give the m3ter id of each record that Salesforce holds, by Salesforce Id."""
        ...

    def has_cut_rows(self) -> bool:
        """Tell whether Salesforce holds rows with a text that was cut to its field's length."""
        ...

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Name the ingest jobs in this org whose results are not all recorded, the oldest first.

        The rows that were sent with them are still staged, with the fingerprints that were sent:
        their results can be recorded until ``clear``.
        """
        ...

    def clear(self) -> datetime:
        """Drop the rows that an earlier run left unsent; gives the time of the database."""
        ...

    def confirm(self, seen: Sequence[RecordHash]) -> None:
        """Store the digest of JSON texts whose rows Salesforce has acknowledged as they are."""
        ...

    def keep_paused(self, rejected: Sequence[Rejected]) -> None:
        """Note that these records were read in this run; they stay rejected as they are."""
        ...

    def stage(self, rows: Sequence[StagedRow]) -> None:
        """Put rows up to be sent, and withdraw their records' fingerprints in one transaction.

        A record that is staged again takes the later row.
        """
        ...

    def ready(self, *, all_rows: bool) -> list[tuple[int, int]]:
        """Name the shapes of staged rows that can go next, in order, and how many rows each has.

        Args:
            all_rows: also those whose sibling is itself still staged.
        """
        ...

    def staged(self, shapes: Sequence[int], *, all_rows: bool) -> Iterator[Row]:
        """Read the staged rows of these shapes, those of one parent next to each other."""
        ...

    def held_parents(
        self, ids: Sequence[str], entities: Sequence[str]
    ) -> list[tuple[str, str, str]]:
        """Tell which parents of staged rows Salesforce should hold, by what earlier runs stored.

        Args:
            ids: m3ter ids of the staged rows.
            entities: the entity types that they may point to.

        Returns:
            For each such parent: the row's m3ter id, the parent's entity type and m3ter id.
        """
        ...

    def record(self, results: Sequence[RowResult]) -> list[ReplacedRecord]:
        """Store in one transaction what Salesforce said of rows, or why they were not sent.

        An acknowledged row is from now on the one to compare with; no row of the results is
        staged any longer. A result whose row is not staged is left out.

        Returns:
            Acknowledged records that Salesforce held under another Id before. The fingerprints
            of all records that pointed to them are withdrawn, for their lookups are empty now.
        """
        ...

    def delete_stale_rejects(self, since: datetime) -> None:
        """Drop rejects that were not recorded again since then: the records are gone or fine."""
        ...


class DescribeCache(Protocol):
    """What an org has said of its objects before, kept from run to run."""

    def read(self, object_name: str) -> tuple[bytes, str] | None:
        """Give an object's describe as it came, and the time stamp that came with it."""
        ...

    def write(self, object_name: str, body: bytes, last_modified: str) -> None:
        """Keep an object's describe in the place of an earlier one."""
        ...


class Source(Protocol):
    """m3ter, as the sync sees it."""

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
            account_ids: fetch these accounts' records alone; ``None`` for everything.

        Yields:
            The raw JSON text of each record of a page. A page may be empty.

        Raises:
            SyncError: the list could not be read to its end.
        """
        ...

    def fetch(self, entity: EntityType, m3ter_id: str) -> bytes | None:
        """Ask for one record by its id.

        Returns:
            The record's JSON text, which may hold more fields than the list gives; ``None`` where
            m3ter says that the record does not exist.

        Raises:
            SyncError: m3ter did not say whether it exists.
        """
        ...


class Destination(Protocol):
    """Salesforce, as the sync sees it."""

    @property
    def calls(self) -> int:
        """API calls made so far, logins included."""
        ...

    def identity(self) -> OrgIdentity:
        """Log in if that has not been done, and say which org it is.

        Raises:
            SyncError: the login failed.
        """
        ...

    def organization(self) -> Organization:
        """Read what the org says of itself.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Give fields of records new values by their Salesforce Ids, which name the results.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows, and hand over Salesforce's answer to each, a batch at a time.

        Every row of the group is in the results once, in any order. Rows that met a temporary
        error may be missing, a few tries long: these are to be sent again, with what else is
        left by then. At the last try each is a ``Rejected``.

        Raises:
            SyncError: Salesforce could not be asked; rows not yet handed over are not known to
                be in Salesforce, and may be.
        """
        ...

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Hand over what became of the rows of an earlier run's job.

        Rows that it does not name are to be sent again.

        Raises:
            DeadlineError: the job does not end in the time that a run has.
            SyncError: Salesforce could not be asked.
        """
        ...
