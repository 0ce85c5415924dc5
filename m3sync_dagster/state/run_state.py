"""One integration's state, as the run that holds its lock may write it."""

from dataclasses import dataclass

import psycopg

from m3sync_dagster.state.events import record_event
from m3sync_dagster.state.ledger import PostgresLedger
from m3sync_dagster.sync.errors import SyncError


@dataclass(frozen=True, slots=True)
class RunState:
    """Ledgers and events of an integration.

    Args:
        connection: the connection that holds the integration's lock.
        integration: its name.
    """

    connection: psycopg.Connection
    integration: str

    def ledger(self, entity: str, run_id: str) -> PostgresLedger:
        """The ledger of one entity, for one run to write."""
        return PostgresLedger(self.connection, self.integration, entity, run_id)

    def event(self, entity: str | None, run_id: str, error: SyncError) -> None:
        """Write down what went wrong."""
        record_event(self.connection, self.integration, entity, run_id, error)
