"""The three doors of the heart: where records come in, where state is kept, where rows go out.

``sync`` decides; these protocols are all it knows of m3ter, PostgreSQL and Salesforce.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.results import Rejected, Row, RowResult


@dataclass(frozen=True, slots=True)
class SalesforceField:
    """What a describe says of one field, as far as a sync needs it.

    Args:
        name: API name.
        type: describe's ``type``: ``string``, ``double``, ``reference`` and so on.
        length: most characters of a text field; 0 where that means nothing.
        precision, scale: digits in all, and after the decimal point, of a number field.
        nillable: whether it may be empty.
        createable, updateable: whether this user may write it on new and on existing records.
        label: what people see.
        external_id, unique, case_sensitive: as for an external ID field; ``None`` where the
            describe does not say.
        refers_to: API names of the objects that a lookup may point to.
        relationship: the name under which a lookup is set by external ID; ``None`` for others.
        picklist: the active values of a picklist; empty for other fields.
        restricted: whether a picklist takes those values alone.
        defaulted: whether Salesforce fills it in on create when it is left out; ``None`` where
            the describe does not say.
    """

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    external_id: bool | None = None
    unique: bool | None = None
    case_sensitive: bool | None = None
    refers_to: tuple[str, ...] = ()
    relationship: str | None = None
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    defaulted: bool | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class SalesforceObject:
    """A describe of one object: its API name, its label and its fields by API name.

    ``createable`` and ``updateable`` say whether this user may write records of it at all.
    """

    name: str
    label: str
    fields: dict[str, SalesforceField]
    createable: bool = True
    updateable: bool = True


@dataclass(frozen=True, slots=True)
class OrgIdentity:
    """Which Salesforce org a login has reached.

    Args:
        organization_id: the org's 15-character Id, or what stands for it where it is not known.
        user_id: the 15-character Id of the user that we act as; ``None`` where it is not known.
    """

    organization_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One Salesforce field that rows carry.

    Args:
        field: API name.
        relationship: for a lookup set by external ID, describe's ``relationshipName``.
        parent_external_id: and the external ID field of the object it points to.
    """

    field: str
    relationship: str | None = None
    parent_external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go, and what their values mean.

    Args:
        object: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
        columns: one for each value of a ``Row``, in the same order; the external ID is not
            among them.
    """

    object: str
    external_id_field: str
    columns: tuple[Column, ...]


COLLECTIONS_UP_TO = 2_000
"""Rows up to which sObject Collections need fewer calls than an ingest job.

Source: Salesforce Bulk API 2.0 guide, introduction.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that can travel together.

    Args:
        rows: the rows, those of one parent next to each other. Read once.
        count: how many there are.
        empty_lookups: API names of the lookup columns that are ``None`` in every row of the
            group; all other lookup columns have a value in every row. A CSV file cannot clear
            a lookup by external ID, so it needs to know.
        collections_only: a CSV file cannot express the rows: one holds the text ``#N/A``, or
            they differ in which of their lookups are empty.
        parent: position of the lookup column by which rows are sorted; ``None`` where the
            target has no filled lookup.
        tries: how often rows of these shapes have been sent and left unanswered.
    """

    rows: Iterable[Row]
    count: int
    empty_lookups: frozenset[str] = frozenset()
    collections_only: bool = False
    parent: int | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class RecordHash:
    """A record as it was read: its id, and the digests of its row and of its JSON text."""

    m3ter_id: str
    fingerprint: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row that is to be sent.

    Args:
        seen: the record that the row stands for.
        row: the row.
        shape: which of the row's lookups are empty and whether only sObject Collections can
            carry it, as a number; rows of one shape can share a CSV file.
        parent: the parent whose rows should travel together; empty for none.
        sibling: the record of the same type that must be in Salesforce first, if any.
    """

    seen: RecordHash
    row: Row
    shape: int
    parent: str = ""
    sibling: str | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """An ingest job that an earlier run has left before all its results were on record.

    Args:
        job_id: Salesforce's id; ``None`` where the run broke off before it learned the id, so that
            nobody knows whether there is such a job.
        object_name: API name of the object that it writes.
        since: when it was about to be created.
    """

    job_id: str | None
    object_name: str
    since: datetime


class JobLog(Protocol):
    """Where ingest jobs are written down, so that a crash forgets none."""

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        """A job is about to be created; no other is on its way at the same time."""
        ...

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Salesforce has created the announced job; called before its data is sent."""
        ...

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        """All of a job's results have been handed over; ``None`` means the one announced."""
        ...

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Tell which of these jobs no integration has written down."""
        ...


class Ledger(JobLog, Protocol):
    """What is known of one entity of one integration: what Salesforce holds, what waits to go."""

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Name the ingest jobs whose results are not all on record, the oldest first.

        The rows that were sent with them are still staged, with the fingerprints that were sent:
        their results can be recorded until ``clear``.
        """
        ...

    def clear(self) -> None:
        """Forget the rows that an earlier run left unsent."""
        ...

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Tell which JSON texts are not those of acknowledged rows, by their positions."""
        ...

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the fingerprints of those records' acknowledged rows, by m3ter id."""
        ...

    def changed(self, seen: Sequence[RecordHash]) -> set[str]:
        """Tell which records' rows Salesforce has not acknowledged as they are now.

        For the others it notes the digest of their JSON text, so that the next run need not
        look inside.
        """
        ...

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        """Tell which records' rows Salesforce has refused before as they are, and may rest for now.

        They stay on record as refused.
        """
        ...

    def stage(self, rows: Sequence[StagedRow]) -> None:
        """Put rows up to be sent. A record that is staged again takes the later row."""
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

    def record(self, results: Sequence[RowResult]) -> None:
        """Write down, at once, what Salesforce said of rows, or why they were not sent.

        An acknowledged row is from now on the one to compare with; no row of the results is
        staged any longer. A result whose row is not staged is of no account.
        """
        ...

    def delete_stale_rejects(self) -> None:
        """Drop rejects that were not written down again since ``clear``: they are no more."""
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

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        ...

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send rows, and hand over Salesforce's word on each, a batch at a time.

        Every row of the group is in the results once, in any order. Rows that met a passing
        trouble may be missing, a few tries long: these are to be sent again, with what else is
        left by then. At the last try each is a ``Rejected``.

        Raises:
            SyncError: Salesforce could not be asked; rows not yet handed over are not known to
                be in Salesforce, and may be.
        """
        ...

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Hand over what became of the rows of a job that an earlier run has left.

        Rows that it does not name are to be sent again.

        Raises:
            DeadlineError: the job does not end in the time that a run has.
            SyncError: Salesforce could not be asked.
        """
        ...
