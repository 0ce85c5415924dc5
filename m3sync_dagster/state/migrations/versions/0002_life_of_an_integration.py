"""What the guard knows of each integration, the notices it owes, and one event for each cause."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Create the tables of standings and notices, and the index that keeps events apart."""
    _integration_state()
    _notice()
    op.create_index(
        "integration_event_once",
        "integration_event",
        ["run_id", "integration", "name", sa.text("coalesce(entity, '')")],
        unique=True,
        schema="m3sync",
    )


def _integration_state() -> None:
    op.create_table(
        "integration_state",
        sa.Column("integration", sa.Text, primary_key=True),
        sa.Column("schedule_started", sa.Double, comment="start of the schedule last seen"),
        sa.Column(
            "counted_after",
            sa.BigInteger,
            nullable=False,
            comment="runs of Dagster's storage up to this id no longer count",
        ),
        sa.Column("told", sa.Integer, nullable=False, comment="failures that people know of"),
        sa.Column("told_at", sa.BigInteger, comment="the run that they were last told of"),
        sa.Column("disabled_since", _TIME),
        sa.Column("disabled_reason", sa.Text),
        schema="m3sync",
        comment="What the guard knows of each integration.",
    )


def _notice() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("change", sa.Text, nullable=False, comment="the change of state, by its run"),
        sa.Column("target", sa.Text, nullable=False, comment="who or what is told"),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempted_at", _TIME),
        sa.Column("error", sa.Text, comment="why the last attempt failed"),
        sa.Column("handed_over_at", _TIME, comment="from here on it is not sent again"),
        sa.Column("confirmed_at", _TIME, comment="when the receiver had said that it took it"),
        sa.UniqueConstraint("change", "target", name="notice_once"),
        schema="m3sync",
        comment="Messages about changes of state: one row for each change and receiver.",
    )
    op.create_index(
        "notice_open",
        "notice",
        ["integration"],
        schema="m3sync",
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
