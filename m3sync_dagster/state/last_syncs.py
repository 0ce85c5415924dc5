"""When each entity was last synced completely, and how many records were rejected."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

EntitySyncs = Mapping[str, "SyncedEntity"]
"""An integration's last complete syncs, by entity."""


@dataclass(frozen=True, slots=True)
class SyncedEntity:
    """The last complete sync of an entity.

    Args:
        integration, entity: what was synced.
        run_id: by which run.
        ended_at: when.
        read: records that it read; ``None`` if an earlier version recorded it.
        rejected: how many of them are invalid or were rejected; ``None`` likewise.
    """

    integration: str
    entity: str
    run_id: str
    ended_at: datetime
    read: int | None
    rejected: int | None


def record_entity_sync(
    connection: psycopg.Connection,
    integration: str,
    entity: str,
    run_id: str,
    counts: tuple[int, int],
) -> None:
    """Record a complete sync.

    Args:
        connection: to our tables.
        integration: whose entity was synced.
        entity: what was synced.
        run_id: by which run.
        counts: the records that were read, and those of them that are invalid or were rejected.
    """
    connection.execute(
        "INSERT INTO m3sync.entity_sync (integration, entity, run_id, ended_at, read, rejected) "
        "VALUES (%s, %s, %s, clock_timestamp(), %s, %s) ON CONFLICT (integration, entity) "
        "DO UPDATE SET run_id = excluded.run_id, ended_at = excluded.ended_at, "
        "read = excluded.read, rejected = excluded.rejected",
        (integration, entity, run_id, *counts),
    )


def read_entity_syncs(connection: psycopg.Connection) -> dict[str, dict[str, SyncedEntity]]:
    """Read the last complete syncs of all integrations, by integration and entity."""
    found: dict[str, dict[str, SyncedEntity]] = defaultdict(dict)
    with connection.cursor(row_factory=class_row(SyncedEntity)) as cursor:
        for row in cursor.execute(
            "SELECT integration, entity, run_id, ended_at, read, rejected FROM m3sync.entity_sync"
        ):
            found[row.integration][row.entity] = row
    return dict(found)
