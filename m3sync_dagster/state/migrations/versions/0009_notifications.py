"""Moments instead of run numbers, known addresses, digests and withdrawn notices."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"

_SCHEMA = "m3sync"
_TIME = sa.DateTime(timezone=True)
# Runs were counted by their number in Dagster's storage, which is in the same database if it is
# there at all. A run whose row is gone is taken to have ended now: what was cleared stays cleared.
_END_OF_RUN = """
UPDATE m3sync.integration_state SET {column} = coalesce(
  (SELECT coalesce(end_time, extract(epoch FROM create_timestamp AT TIME ZONE 'UTC'))
   FROM runs WHERE id = {column}::bigint), extract(epoch FROM clock_timestamp()))
WHERE {column} > 0
"""
_NOW = "UPDATE m3sync.integration_state SET {column} = extract(epoch FROM now()) WHERE {column} > 0"


def upgrade() -> None:
    """Rename the guard's columns, convert their values, and add what notifications need."""
    _rename_guard_columns()
    _add_notice_columns()
    _create_address_tables()


def _rename_guard_columns() -> None:
    table = "integration_state"
    op.alter_column(table, "told", new_column_name="notified_level", schema=_SCHEMA)
    for old, new in (("counted_after", "count_from"), ("told_at", "notified_at")):
        op.alter_column(table, old, new_column_name=new, type_=sa.Double, schema=_SCHEMA)
    statement = _END_OF_RUN if _has_dagster_runs() else _NOW
    for column in ("count_from", "notified_at"):
        op.execute(statement.format(column=column))
    for column, comment in {
        "count_from": "Unix time; runs that ended up to then do not count",
        "notified_level": "failures in a row of the last notification",
        "notified_at": "Unix time at which the last run of that notification ended",
    }.items():
        op.alter_column(table, column, comment=comment, schema=_SCHEMA)
    op.add_column(
        table,
        sa.Column("guard_error", sa.Text, comment="why the guard could not evaluate it"),
        schema=_SCHEMA,
    )


def _has_dagster_runs() -> bool:
    found = op.get_bind().execute(sa.text("SELECT to_regclass('runs') IS NOT NULL"))
    return bool(found.scalar())


def _add_notice_columns() -> None:
    for column in (
        sa.Column("digest", sa.Text, comment="the mail that holds it, together with others"),
        sa.Column("withdrawn_at", _TIME, comment="when it was given up"),
    ):
        op.add_column("notice", column, schema=_SCHEMA)


def _create_address_tables() -> None:
    op.create_table(
        "user_address",
        sa.Column("credential", sa.Text, primary_key=True, comment="the m3ter credential"),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, comment="empty where m3ter has none"),
        sa.Column("read_at", _TIME, nullable=False),
        schema=_SCHEMA,
        comment="m3ter users who are notified, as m3ter last gave them.",
    )
    op.create_table(
        "failed_address_lookup",
        sa.Column("credential", sa.Text, primary_key=True, comment="the m3ter credential"),
        sa.Column("failed_at", _TIME, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        schema=_SCHEMA,
        comment="m3ter credentials whose last look-up of users failed.",
    )
