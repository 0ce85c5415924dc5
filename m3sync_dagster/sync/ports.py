"""The three doors of the heart: where records come in, where state is kept, where rows go out.

``sync`` decides; these protocols are all it knows of m3ter, PostgreSQL and Salesforce.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.outcome import Row, RowResult


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
        external_id, unique, case_sensitive: as for an external ID field.
        refers_to: API names of the objects that a lookup may point to.
        relationship: the name under which a lookup is set by external ID; ``None`` for others.
        picklist: the active values of a picklist; empty for other fields.
        restricted: whether a picklist takes those values alone.
        defaulted: whether Salesforce fills it in on create when it is left out.
    """

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    refers_to: tuple[str, ...] = ()
    relationship: str | None = None
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    defaulted: bool = False


@dataclass(frozen=True, slots=True)
class SalesforceObject:
    """A describe of one object: its API name, its label and its fields by API name."""

    name: str
    label: str
    fields: dict[str, SalesforceField]


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


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that can travel together.

    Args:
        rows: the rows, those of one parent next to each other. Read once.
        count: how many there are.
        empty_lookups: API names of the lookup columns that are ``None`` in every row of the
            group; all other lookup columns have a value in every row. A CSV file cannot clear
            a lookup by external ID, so it needs to know.
        collections_only: the rows hold a text that a CSV file cannot express (``#N/A``).
        parent: position of the lookup column by which rows are sorted; ``None`` where the
            target has no filled lookup.
    """

    rows: Iterable[Row]
    count: int
    empty_lookups: frozenset[str] = frozenset()
    collections_only: bool = False
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it was read: its id, and the digests of its row and of its JSON text."""

    m3ter_id: str
    fingerprint: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Staged:
    """A row that is to be sent.

    Args:
        seen: the record that the row stands for.
        row: the row.
        shape: which of the row's lookups are empty and whether only sObject Collections can
            carry it, as a number; rows of one shape can share a CSV file.
        parent: the parent whose rows should travel together; empty for none.
        sibling: the record of the same type that must be in Salesforce first, if any.
    """

    seen: Seen
    row: Row
    shape: int
    parent: str = ""
    sibling: str | None = None


class JobLog(Protocol):
    """Where ingest jobs are written down, so that a crash forgets none."""

    def opened(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Salesforce has created the job; called before its data is closed."""
        ...

    def ended(self, job_id: str, state: str) -> None:
        """All of the job's results have been handed over."""
        ...


class Ledger(JobLog, Protocol):
    """What is known of one entity of one integration: what Salesforce holds, what waits to go."""

    def clear(self) -> None:
        """Forget the rows that an earlier run left unsent."""
        ...

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Tell which JSON texts are not those of acknowledged rows, by their positions."""
        ...

    def changed(self, seen: Sequence[Seen]) -> set[str]:
        """Tell which records' rows Salesforce has not acknowledged as they are now.

        For the others it notes the digest of their JSON text, so that the next run need not
        look inside.
        """
        ...

    def stage(self, rows: Sequence[Staged]) -> None:
        """Put rows up to be sent. A record that is staged again takes the later row."""
        ...

    def ready(self, *, all_rows: bool) -> tuple[int, int] | None:
        """Name the shape that should go next, and how many of its staged rows can.

        Args:
            all_rows: also those whose sibling is itself still staged.
        """
        ...

    def staged(self, shape: int, *, all_rows: bool) -> Iterator[Row]:
        """Read the staged rows of a shape, those of one parent next to each other."""
        ...

    def record(self, results: Sequence[RowResult]) -> None:
        """Write down, at once, what Salesforce said of rows, or why they were not sent.

        An acknowledged row is from now on the one to compare with; no row of the results is
        staged any longer.
        """
        ...

    def forget_rejects(self) -> None:
        """Drop rejects that were not written down again since ``clear``: they are no more."""
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

        Every row of the group is in the results once, in any order. A row that Salesforce never
        processed is a ``Refused`` of class ``TRANSIENT``.

        Raises:
            SyncError: Salesforce could not be asked; rows not yet handed over are not known to
                be in Salesforce, and may be.
        """
        ...
