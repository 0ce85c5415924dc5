"""State in PostgreSQL, schema ``m3sync``: what Salesforce acknowledged, rejects, jobs, events."""

from m3sync_dagster.state.database import POSTGRES_URL, connect, libpq_url, postgres_url
from m3sync_dagster.state.events import record_event
from m3sync_dagster.state.integration import IntegrationState
from m3sync_dagster.state.ledger import PostgresLedger
from m3sync_dagster.state.lock import IntegrationLock, is_locked
from m3sync_dagster.state.migrate import migrate, require_current_schema
from m3sync_dagster.state.rejects import Reject, count_rejects, list_rejects

__all__ = [
    "POSTGRES_URL",
    "IntegrationLock",
    "IntegrationState",
    "PostgresLedger",
    "Reject",
    "connect",
    "count_rejects",
    "is_locked",
    "libpq_url",
    "list_rejects",
    "migrate",
    "postgres_url",
    "record_event",
    "require_current_schema",
]
