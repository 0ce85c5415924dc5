"""The state of one integration, for the run that holds its lock."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg

from m3sync_dagster.state.error_events import close_events, close_events_of_all, record_event
from m3sync_dagster.state.last_syncs import record_entity_sync
from m3sync_dagster.state.ledger import PostgresLedger
from m3sync_dagster.sync.errors import SyncError


@dataclass(slots=True)
class RunState:
    """Ledgers and events of an integration.

    Args:
        connection: the connection that holds the integration's lock.
        integration: its name.
    """

    connection: psycopg.Connection
    integration: str
    _withdrawn: bool = field(default=False, init=False)

    def ledger(self, entity: str, run_id: str) -> PostgresLedger:
        """The ledger of one entity for one run."""
        return PostgresLedger(self.connection, self.integration, entity, run_id)

    def withdraw_all(self, entities: Iterable[str], run_id: str) -> None:
        """Withdraw the fingerprints of these entities, once in a run and before it sends anything.

        If a full run fails at one entity, the next run still sends the rows of all of them.
        """
        if not self._withdrawn:
            with self.connection.transaction():
                for entity in entities:
                    self.ledger(entity, run_id).withdraw_all()
            self._withdrawn = True

    def event(
        self, entity: str | None, run_id: str, error: SyncError, *, lasting: bool = False
    ) -> None:
        """Record an error event; see ``record_event``."""
        record_event(self.connection, self.integration, entity, run_id, error, lasting=lasting)

    def synced(
        self, entity: str, run_id: str, counts: tuple[int, int], carried: Iterable[str]
    ) -> None:
        """Record a complete sync, and close the events that the integration has recovered from.

        Args:
            entity: what was synced.
            run_id: by which run.
            counts: the records that were read, and those of them that are invalid or were rejected.
            carried: all entities of the integration.
        """
        with self.connection.transaction():
            record_entity_sync(self.connection, self.integration, entity, run_id, counts)
            close_events(self.connection, self.integration, entity, run_id)
            close_events_of_all(self.connection, self.integration, list(carried))
