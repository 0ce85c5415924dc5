"""What is stored of one record: its ids, its acknowledged row, and how it was removed."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class SyncedRow:
    """The last row of a record that Salesforce has acknowledged.

    Args:
        salesforce_id: the record's Id.
        fingerprint: of the row; ``None`` if it was withdrawn, so that the next run sends it.
        run_id: the run that sent it.
        synced_at: when Salesforce acknowledged it.
    """

    salesforce_id: str
    fingerprint: bytes | None
    run_id: str
    synced_at: datetime


@dataclass(frozen=True, slots=True)
class RemovedRecord:
    """A record that was flagged or deleted in Salesforce, because m3ter no longer has it.

    Args:
        salesforce_id: the record's Id.
        action: ``flag`` or ``delete``.
        run_id: the run that did it.
        removed_at: when.
    """

    salesforce_id: str
    action: str
    run_id: str
    removed_at: datetime


_WHERE = "WHERE integration = %s AND entity = %s AND m3ter_id = %s"
_SYNCED = f"SELECT salesforce_id, fingerprint, run_id, synced_at FROM m3sync.synced_record {_WHERE}"  # noqa: S608 - a constant
_REMOVED = f"""SELECT salesforce_id, action, run_id, removed_at
FROM m3sync.removed_record {_WHERE} ORDER BY id DESC LIMIT 1"""  # noqa: S608 - a constant

_REFUSED = f"SELECT fingerprint FROM m3sync.rejected_record {_WHERE}"  # noqa: S608 - a constant

# An id of 18 characters is one of 15, and three more that are computed from them.
_IDS = """
SELECT DISTINCT m3ter_id FROM (
    SELECT m3ter_id, salesforce_id FROM m3sync.synced_record WHERE integration = %s AND entity = %s
    UNION ALL
    SELECT m3ter_id, salesforce_id FROM m3sync.removed_record WHERE integration = %s AND entity = %s
    UNION ALL
    SELECT m3ter_id, NULL FROM m3sync.rejected_record WHERE integration = %s AND entity = %s
) AS stored
WHERE m3ter_id = %s OR left(salesforce_id, 15) = %s
"""


def find_stored_ids(
    connection: psycopg.Connection, integration: str, entity: str, given: str
) -> set[str]:
    """The m3ter ids of the stored records with this m3ter id or Salesforce Id.

    Args:
        connection: to our tables.
        integration: the owner of the records.
        entity: their entity type.
        given: an m3ter id, or a Salesforce Id of 15 or 18 characters; anything else finds nothing.
    """
    short = given[:15] if len(given) in {15, 18} else None
    found = connection.execute(_IDS, [*[integration, entity] * 3, given, short])
    ids = {m3ter_id for (m3ter_id,) in found}
    return {given} if given in ids else ids


def read_synced_row(connection: psycopg.Connection, *record: str) -> SyncedRow | None:
    """Read the acknowledged row of a record, named by integration, entity and m3ter id."""
    with connection.cursor(row_factory=class_row(SyncedRow)) as cursor:
        return cursor.execute(_SYNCED, record).fetchone()


def read_refused_fingerprint(connection: psycopg.Connection, *record: str) -> bytes | None:
    """Read the fingerprint of a record's rejected row; its name is as for ``read_synced_row``.

    ``None`` if no row of it is rejected, or none was sent.
    """
    found = connection.execute(_REFUSED, record).fetchone()
    return found[0] if found else None


def read_removed_record(connection: psycopg.Connection, *record: str) -> RemovedRecord | None:
    """Read how a record was last flagged or deleted; its name is as for ``read_synced_row``."""
    with connection.cursor(row_factory=class_row(RemovedRecord)) as cursor:
        return cursor.execute(_REMOVED, record).fetchone()
