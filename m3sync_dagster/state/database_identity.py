"""Which database the state is in, so that a restored or moved one is recognized."""

import psycopg

_READABLE = (
    "SELECT has_function_privilege('pg_control_system()', 'EXECUTE') "
    "AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')"
)
_SERVER = (
    "SELECT format('%s/%s', system_identifier, timeline_id) "
    "FROM pg_control_system(), pg_control_checkpoint()"
)
_SCHEMA = (
    "SELECT format('%s/%s', oid, 'm3sync'::regnamespace::oid) "
    "FROM pg_database WHERE datname = current_database()"
)


def database_identity(connection: psycopg.Connection) -> str:
    """The identity of the schema ``m3sync``, which no other copy of it has.

    Its parts change when the state comes from a backup: the OIDs of the database and the schema
    when a dump is restored, the server's system identifier or timeline when its files are. The
    timeline also changes when a standby is promoted, which may have lost transactions.
    Source: PostgreSQL documentation, "Control Data Functions", and "Timelines" in "Continuous
    Archiving and Point-in-Time Recovery".
    """
    schema = _value(connection, _SCHEMA)
    if _value(connection, _READABLE):  # an admin may have revoked the right
        return f"{_value(connection, _SERVER)}/{schema}"
    return str(schema)


def restored_integrations(connection: psycopg.Connection) -> list[str]:
    """The integrations that no run has synced since the state was restored or moved."""
    found = connection.execute(
        "SELECT DISTINCT integration FROM m3sync.fingerprint_basis "
        "WHERE database_identity <> %s ORDER BY integration",
        [database_identity(connection)],
    )
    return [name for (name,) in found]


def _value(connection: psycopg.Connection, statement: str) -> object:
    [(value,)] = connection.execute(statement)
    return value
