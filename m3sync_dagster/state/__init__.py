"""State in PostgreSQL, schema ``m3sync``: what Salesforce acknowledged, rejects, jobs, events."""

from m3sync_dagster.state.comparison import PostgresComparison
from m3sync_dagster.state.database import POSTGRES_URL, connect, libpq_url, postgres_url, unbroken
from m3sync_dagster.state.describes import PostgresDescribes
from m3sync_dagster.state.events import (
    Event,
    action_event,
    list_events,
    record_event,
    storable,
)
from m3sync_dagster.state.integration import IntegrationState
from m3sync_dagster.state.ledger import PostgresLedger
from m3sync_dagster.state.lock import IntegrationLock, is_locked
from m3sync_dagster.state.migrate import migrate, require_current_schema
from m3sync_dagster.state.notices import Notice, Undelivered, owe, undelivered
from m3sync_dagster.state.rejects import (
    Reject,
    count_rejects,
    list_rejects,
    resting,
    retry_rejects,
)
from m3sync_dagster.state.standing import (
    Standing,
    deciding,
    read_standing,
    read_standings,
    write_standings,
)

__all__ = [
    "POSTGRES_URL",
    "Event",
    "IntegrationLock",
    "IntegrationState",
    "Notice",
    "PostgresComparison",
    "PostgresDescribes",
    "PostgresLedger",
    "Reject",
    "Standing",
    "Undelivered",
    "action_event",
    "connect",
    "count_rejects",
    "deciding",
    "is_locked",
    "libpq_url",
    "list_events",
    "list_rejects",
    "migrate",
    "owe",
    "postgres_url",
    "read_standing",
    "read_standings",
    "record_event",
    "require_current_schema",
    "resting",
    "retry_rejects",
    "storable",
    "unbroken",
    "undelivered",
    "write_standings",
]
