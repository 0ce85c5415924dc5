"""Deleting check executions that are too old from Dagster's storage.

Dagster has no way to delete them: they stay when their run is deleted. So this is the one place
that writes to a table of Dagster's by itself.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

PAGE = 1_000
"""Executions that are deleted in one transaction."""

_OLDEST = """
SELECT id, create_timestamp < (now() AT TIME ZONE 'UTC') - make_interval(days => %s)
FROM asset_check_executions WHERE id > %s ORDER BY id LIMIT %s
"""
# The subquery is a scalar one, so that PostgreSQL looks for the newer execution by the index, and
# does not read the whole table for each page.
_REPLACED = """
FROM asset_check_executions AS old WHERE old.id = ANY(%s) AND (
  SELECT true FROM asset_check_executions AS newer
  WHERE newer.asset_key = old.asset_key AND newer.check_name = old.check_name
  AND newer.execution_status = old.execution_status AND newer.id > old.id LIMIT 1
)
"""


@dataclass(frozen=True, slots=True)
class DeletedExecutions:
    """What was deleted.

    Args:
        rows: how many executions.
        finished: whether no other one has to be deleted.
    """

    rows: int
    finished: bool


def delete_old_check_executions(
    connection: psycopg.Connection, days: int, until: float, *, dry_run: bool = False
) -> DeletedExecutions:
    """Delete the check executions that are older, the oldest first.

    The newest of each check and each status is kept.

    Args:
        connection: to the database with Dagster's tables.
        days: for how many days they are kept.
        until: when to stop, by the monotonic clock.
        dry_run: only count them.
    """
    rows = last = 0
    while page := _old(connection, days, last):
        if time.monotonic() >= until:
            return DeletedExecutions(rows, finished=False)
        rows += _delete(connection, page, dry_run=dry_run)
        last = page[-1]
    return DeletedExecutions(rows, finished=True)


def _old(connection: psycopg.Connection, days: int, after: int) -> Sequence[int]:
    """The ids of the next executions that are old, which have the lowest ids."""
    found = connection.execute(_OLDEST, (days, after, PAGE)).fetchall()
    return [row_id for row_id, is_old in found if is_old]


def _delete(connection: psycopg.Connection, page: Sequence[int], *, dry_run: bool) -> int:
    if dry_run:
        [(number,)] = connection.execute(f"SELECT count(*) {_REPLACED}", (page,))
        return int(number)
    return connection.execute(f"DELETE {_REPLACED}", (page,)).rowcount
