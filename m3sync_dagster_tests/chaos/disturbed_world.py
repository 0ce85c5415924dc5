"""The model's world, with a boundary before each server and a PostgreSQL that can be disturbed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from m3sync_dagster.state import migrate
from m3sync_dagster_tests.chaos.boundary import Boundary
from m3sync_dagster_tests.conftest import dagster_instance
from m3sync_dagster_tests.model.scenario import Scenario
from m3sync_dagster_tests.model.world import World, world
from m3sync_dagster_tests.postgres.own_server import OwnServer, own_server

QUICK = "-c fsync=off -c full_page_writes=off"
"""The machine does not crash here, so the server need not wait for its disk."""
_TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = 'm3sync' AND relkind IN ('r', 'p') AND NOT relispartition
AND relname <> 'alembic_version'
"""
_TIMES = """
SELECT format('%I.%I', nspname, relname), string_agg(format('%1$I = %1$I - $1', attname), ', ')
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
JOIN pg_attribute ON attrelid = pg_class.oid
WHERE nspname = 'm3sync' AND relkind = 'r' AND NOT relispartition
AND atttypid = 'timestamptz'::regtype AND NOT attisdropped GROUP BY 1
"""
_FULL_DISK = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.full_disk ();
CREATE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF EXISTS (SELECT FROM chaos.full_disk) THEN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
  END IF;
  RETURN NULL;
END $$;
"""
_REFUSE = """
CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {} FOR EACH STATEMENT
EXECUTE FUNCTION chaos.refuse()
"""


BEFORE_THE_HOUR, DURING_THE_TICK = "before the hour", "during the tick"
"""Moments at which a daemon can be killed. If it is before the hour, it is started again in it."""


class Daemon(Protocol):
    """A daemon that starts the runs."""

    def jump(self, hours: int) -> None:
        """Let its clock jump by hours."""

    def kill(self) -> None:
        """Kill it with SIGKILL, and start another one."""

    def kill_at(self, moment: str) -> None:
        """Do so at a moment of the next hour."""

    def check_hours(self) -> None:
        """See that every hour until now was synced, and none by two runs that have succeeded."""


@dataclass
class Database:
    """The product's database, on a server of its own.

    Args:
        server: the server.
        world: its connection is replaced after a restart.
        daemon: the one that starts the runs.
    """

    server: OwnServer
    world: World
    daemon: Daemon | None = None

    def restart(self, mode: str) -> None:
        """Stop the server and start it again.

        Args:
            mode: ``fast``, ``immediate``, which is like a crash, or ``SIGKILL``.
        """
        if mode == "SIGKILL":
            self.server.kill()
        else:
            self.server.stop(mode)
        self.server.start(QUICK)
        self.world.connection.close()
        self.world.connection = psycopg.connect(self.server.url, autocommit=True)

    def prepare(self) -> None:
        """Make a full disk possible: every write to our tables asks whether it is full."""
        connection = self.world.connection
        connection.execute(_FULL_DISK)
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(_REFUSE.format(table))

    def fill(self) -> None:
        """Let every write fail, as PostgreSQL says it of a full disk."""
        self.world.connection.execute("INSERT INTO chaos.full_disk DEFAULT VALUES")

    def free(self) -> None:
        """Let writes succeed again."""
        self.world.connection.execute("TRUNCATE chaos.full_disk")

    def pass_hours(self, hours: int) -> None:
        """Let time pass, or go back: what is stored becomes so much older."""
        connection = self.world.connection
        for table, columns in connection.execute(_TIMES).fetchall():
            changes = columns.replace("$1", f"make_interval(hours => {hours})")
            connection.execute(f"UPDATE {table} SET {changes}")  # noqa: S608 - names of columns


@dataclass
class DisturbedScenario(Scenario):
    """A scenario whose boundaries can be disturbed too."""

    boundary: Boundary = field(kw_only=True)
    database: Database = field(kw_only=True)

    def calm(self) -> None:
        """Let everything work again."""
        self.boundary.calm()
        self.database.free()
        super().calm()


@dataclass
class DisturbedWorld:
    """What histories are played in, one after the other.

    Args:
        home: a ``DAGSTER_HOME``, with the folder ``defs``.
        world: everything around the product.
        boundary: before each server.
        database: the product's.
    """

    home: Path
    world: World
    boundary: Boundary
    database: Database


@contextmanager
def disturbed_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DisturbedWorld]:
    """Start everything, for as long as the block lasts."""
    with own_server() as server:
        server.stop()
        server.start(QUICK)
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", server.url)
        migrate(server.url)
        with dagster_instance(folder):
            pass  # Dagster creates its tables by opening them.
        boundary = Boundary()
        with world(folder / "defs", server.url, boundary.before) as made:
            database = Database(server, made)
            database.prepare()
            yield DisturbedWorld(folder, made, boundary, database)
            made.connection.close()
