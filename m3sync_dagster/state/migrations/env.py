"""Alembic's entry: runs the migrations on the connection that ``migrate`` hands over."""

from alembic import context
from sqlalchemy import text

from m3sync_dagster.state.migrate import SCHEMA

connection = context.config.attributes["connection"]
# Two programs that start at once take turns; the second finds nothing left to do.
connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('m3sync migrate'))"))
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
context.configure(connection=connection, version_table_schema=SCHEMA)
context.run_migrations()
