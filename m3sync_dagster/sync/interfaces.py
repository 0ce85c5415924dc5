"""What the engine needs: Source (m3ter), Ledger (PostgreSQL) and Destination (Salesforce).

The package ``sync`` decides what to send, and uses these three through the protocols below alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.claims import BasisChange, ClaimBasis
from m3sync_dagster.sync.results import Rejected, Row, RowResult, Value


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
        filterable: whether queries can filter by it; ``None`` where the describe does not say.
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
    filterable: bool | None = None
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
class Organization:
    """What an org says of itself.

    Args:
        id: its 15-character Id.
        name: the name that its admin gave it.
        is_sandbox: whether it is a sandbox and not production.
        instance: the name of the instance that it runs on, such as ``USA1S``.
    """

    id: str
    name: str
    is_sandbox: bool
    instance: str


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

COLLECTION_ROWS = 200
"""Rows that one call of sObject Collections takes.

Source: REST API Developer Guide, "Upsert Multiple Records with Collections".
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
        parents: m3ter ids of all records that the row points to.
    """

    seen: RecordHash
    row: Row
    shape: int
    parent: str = ""
    sibling: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """An ingest job of an earlier run, of which not all results are recorded.

    Args:
        job_id: Salesforce's id; ``None`` where the run ended before it learned the id, so that
            it is not known whether there is such a job.
        object_name: API name of the object that it writes.
        since: when it was about to be created.
        external_id_field: API name of the field that its rows are matched by; ``None`` where it is
            not known. Without it a job without an id is not recognized as ours.
    """

    job_id: str | None
    object_name: str
    since: datetime
    external_id_field: str | None = None


@dataclass(frozen=True, slots=True)
class ReplacedRecord:
    """A record that Salesforce no longer holds under the Id that it had.

    Somebody deleted it, and our upsert has created it again.

    Args:
        m3ter_id: the record.
        values: the row that was sent, in the order of the target's columns.
    """

    m3ter_id: str
    values: list[Value]


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
