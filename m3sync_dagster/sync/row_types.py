"""Rows to send to Salesforce: their target, their groups, and their state."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

Value = str | bool | int | Decimal | None
"""A value to send to Salesforce: exact and typed; ``None`` clears the field."""


@dataclass(frozen=True, slots=True)
class Column:
    """One Salesforce field of a row.

    Args:
        field: API name.
        relationship: for a lookup set by external ID, describe's ``relationshipName``.
        parent_external_id: for such a lookup, the external ID field of the object it points to.
    """

    field: str
    relationship: str | None = None
    parent_external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The object and the fields that rows are written to.

    Args:
        object: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
        columns: one for each value of a ``Row``, in the same order; the external ID is not
            among them.
        update_only: whether rows update existing records by their Salesforce Ids, and never
            create one.
    """

    object: str
    external_id_field: str
    columns: tuple[Column, ...]
    update_only: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row to send to Salesforce.

    Args:
        m3ter_id: the record.
        values: one for each column of its ``Target``.
        cut: whether a text was cut to the length of its field.
        salesforce_id: the Id of its record, for a target that is ``update_only``.
        kept: positions of the values that are not sent: the field keeps the value that it has.
    """

    m3ter_id: str
    values: list[Value]
    cut: bool = False
    salesforce_id: str | None = None
    kept: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class MatchedRecord:
    """The Salesforce record that a row belongs to.

    Args:
        m3ter_id: its external ID.
        salesforce_id: its Id.
        kept: positions of the row's values that are not sent, because their fields are not empty.
    """

    m3ter_id: str
    salesforce_id: str
    kept: tuple[int, ...] = ()


QUERY_IDS = 200
"""Ids that fit into the URL of one query: Salesforce accepts 16,384 bytes with the headers."""


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
    """Rows that can be sent together.

    Args:
        rows: the rows, sorted by parent. They can be read once.
        count: their number.
        empty_lookups: API names of the lookup columns that are ``None`` in every row of the
            group; all other lookup columns have a value in every row. A CSV file cannot clear
            a lookup by external ID, so it needs to know.
        collections_only: a CSV file cannot express the rows: one holds the text ``#N/A``, or
            they differ in which of their lookups are empty.
        parent: position of the lookup column by which rows are sorted; ``None`` where the
            target has no filled lookup.
        tries: how often rows of these groups were sent before without a result.
    """

    rows: Iterable[Row]
    count: int
    empty_lookups: frozenset[str] = frozenset()
    collections_only: bool = False
    parent: int | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class RecordHash:
    """The id of a record, the fingerprint of its row, and the digest of its JSON text."""

    m3ter_id: str
    fingerprint: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row that is to be sent.

    Args:
        seen: the hashes of the record.
        row: the row.
        group_key: which of the row's lookups are empty and whether only sObject Collections can
            send it, as a bit mask; rows with the same key can share a CSV file.
        parent: the parent by which rows are sorted; empty for none.
        sibling: the record of the same type that must be in Salesforce first, if any.
        parents: m3ter ids of all records that the row points to.
    """

    seen: RecordHash
    row: Row
    group_key: int
    parent: str = ""
    sibling: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """An ingest job of an earlier run whose results are not all recorded.

    Args:
        job_id: Salesforce's id; ``None`` if the run ended before it received the id; then it is
            not known whether the job exists.
        object_name: API name of the object that it writes to.
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
    """A record that was deleted in Salesforce by hand, and that our upsert has created again.

    Args:
        m3ter_id: the record.
        values: the row that was sent, in the order of the target's columns.
    """

    m3ter_id: str
    values: list[Value]
