"""State in PostgreSQL, schema ``m3sync``: what Salesforce acknowledged, rejects, jobs, events."""

from m3sync_dagster.state.database_identity import restored_integrations
from m3sync_dagster.state.days_to_keep import read_days
from m3sync_dagster.state.describe_cache import PostgresDescribeCache
from m3sync_dagster.state.error_events import (
    DISABLED_EVENT,
    Event,
    EventFilter,
    RepeatedEvent,
    close_disabled,
    list_events,
    list_repeated_events,
    mark_actioned,
    mark_all_actioned,
    record_event,
    storable,
)
from m3sync_dagster.state.guard_state import (
    GuardState,
    guard_lock,
    read_guard_state,
    read_guard_states,
    write_guard_error,
    write_guard_states,
)
from m3sync_dagster.state.integration_lock import IntegrationLock, is_locked
from m3sync_dagster.state.last_syncs import (
    EntitySyncs,
    SyncedEntity,
    read_entity_syncs,
    record_entity_sync,
)
from m3sync_dagster.state.ledger import PostgresLedger
from m3sync_dagster.state.locked_integration import RunState
from m3sync_dagster.state.logins import Login, PostgresLoginLog, read_logins
from m3sync_dagster.state.migrate import migrate, require_current_schema, wrong_schema
from m3sync_dagster.state.old_check_executions import (
    DeletedExecutions,
    delete_old_check_executions,
)
from m3sync_dagster.state.outbox import (
    Content,
    Notice,
    Undelivered,
    enqueue,
    undelivered,
    withdraw_overtaken,
)
from m3sync_dagster.state.postgres_from_environment import (
    POSTGRES_URL,
    connect,
    explain,
    postgres_url,
)
from m3sync_dagster.state.purge import (
    AbsentIntegration,
    AgedRows,
    purge_absent_integrations,
    purge_integration,
    purge_old_rows,
)
from m3sync_dagster.state.read_sent_changes import SentChange, read_sent_changes
from m3sync_dagster.state.reconcile_tables import PostgresReconciliation
from m3sync_dagster.state.rejects import (
    Reject,
    RejectFilter,
    count_rejects,
    list_rejects,
    objects_with_rejects,
    retry_rejects,
)
from m3sync_dagster.state.run_liveness import hold_run_lock, is_run_locked
from m3sync_dagster.state.salesforce_orgs import SalesforceOrg, read_salesforce_orgs
from m3sync_dagster.state.sent_change_partitions import history_days, purge_sent_changes
from m3sync_dagster.state.sent_changes import SentChanges, WrittenRow
from m3sync_dagster.state.stored_record import (
    RemovedRecord,
    SyncedRow,
    find_stored_ids,
    read_refused_fingerprint,
    read_removed_record,
    read_synced_row,
)

__all__ = [
    "DISABLED_EVENT",
    "POSTGRES_URL",
    "AbsentIntegration",
    "AgedRows",
    "Content",
    "DeletedExecutions",
    "EntitySyncs",
    "Event",
    "EventFilter",
    "GuardState",
    "IntegrationLock",
    "Login",
    "Notice",
    "PostgresDescribeCache",
    "PostgresLedger",
    "PostgresLoginLog",
    "PostgresReconciliation",
    "Reject",
    "RejectFilter",
    "RemovedRecord",
    "RepeatedEvent",
    "RunState",
    "SalesforceOrg",
    "SentChange",
    "SentChanges",
    "SyncedEntity",
    "SyncedRow",
    "Undelivered",
    "WrittenRow",
    "close_disabled",
    "connect",
    "count_rejects",
    "delete_old_check_executions",
    "enqueue",
    "explain",
    "find_stored_ids",
    "guard_lock",
    "history_days",
    "hold_run_lock",
    "is_locked",
    "is_run_locked",
    "list_events",
    "list_rejects",
    "list_repeated_events",
    "mark_actioned",
    "mark_all_actioned",
    "migrate",
    "objects_with_rejects",
    "postgres_url",
    "purge_absent_integrations",
    "purge_integration",
    "purge_old_rows",
    "purge_sent_changes",
    "read_days",
    "read_entity_syncs",
    "read_guard_state",
    "read_guard_states",
    "read_logins",
    "read_refused_fingerprint",
    "read_removed_record",
    "read_salesforce_orgs",
    "read_sent_changes",
    "read_synced_row",
    "record_entity_sync",
    "record_event",
    "require_current_schema",
    "restored_integrations",
    "retry_rejects",
    "storable",
    "undelivered",
    "withdraw_overtaken",
    "write_guard_error",
    "write_guard_states",
    "wrong_schema",
]
