"""Error events, under m3ter's own five names."""

import psycopg

from m3sync_dagster.sync.errors import SyncError


def record_event(
    connection: psycopg.Connection, integration: str, entity: str, run_id: str, error: SyncError
) -> None:
    """Write down an event. One cause in one run is one event, however many rows it concerns."""
    connection.execute(
        "INSERT INTO m3sync.integration_event "
        "(name, integration, entity, run_id, message, remedy) "
        "SELECT %(name)s, %(integration)s, %(entity)s, %(run_id)s, %(message)s, %(remedy)s "
        "WHERE NOT EXISTS (SELECT 1 FROM m3sync.integration_event WHERE run_id = %(run_id)s "
        "AND name = %(name)s AND integration = %(integration)s AND entity = %(entity)s)",
        {
            "name": error.event,
            "integration": integration,
            "entity": entity,
            "run_id": run_id,
            "message": error.cause,
            "remedy": error.remedy,
        },
    )
