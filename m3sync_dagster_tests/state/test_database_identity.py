"""The identity of the state database, also if its user may not read the server's."""

import psycopg

from m3sync_dagster.state.database_identity import database_identity


def test_without_the_right_the_server_is_left_out(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        whole = database_identity(connection)
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.execute("CREATE ROLE reader")
        connection.execute("SET LOCAL ROLE reader")
        part = database_identity(connection)
        connection.rollback()
    assert (whole.count("/"), part.count("/")) == (3, 1)
    assert whole.endswith(f"/{part}")
