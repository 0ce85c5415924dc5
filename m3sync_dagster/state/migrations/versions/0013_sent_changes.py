"""The history of what was sent, and the values that Salesforce acknowledged last."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0013"
down_revision = "0012"

_SCHEMA = "m3sync"
_FIRST_DAYS = 31
"""Today and 30 more days; from then on, the daily purge creates the partitions."""


def upgrade() -> None:
    """Create the tables and the columns; what was sent before is not known."""
    _create_sent_change()
    _create_partitions()
    _create_sent_fields()
    for column in (
        sa.Column("sent_values", sa.LargeBinary, comment="JSON array of the acknowledged values"),
        sa.Column("sent_fields", sa.Integer, comment="sent_fields.id: the fields of sent_values"),
    ):
        op.add_column("synced_record", column, schema=_SCHEMA)


def _create_sent_change() -> None:
    op.create_table(
        "sent_change",
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("m3ter_id", sa.Text, nullable=False),
        sa.Column("salesforce_id", sa.Text, comment="empty: the record is not in Salesforce"),
        sa.Column("run_id", sa.Text, nullable=False, comment="the run that read the answer"),
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
            comment="when the answer was recorded",
        ),
        sa.Column(
            "action",
            sa.Text,
            nullable=False,
            comment="created, updated, rejected, flagged or deleted",
        ),
        sa.Column(
            "answer",
            sa.Text,
            nullable=False,
            comment="accepted, or the code with which Salesforce rejected the row",
        ),
        sa.Column(
            "changes",
            JSONB,
            comment="field to its values before and after; no before: not known; empty: not stored",
        ),
        sa.Column("masked", ARRAY(sa.Text), comment="fields whose values are not stored"),
        schema=_SCHEMA,
        comment="What was sent to Salesforce, and its answer.",
        postgresql_partition_by="RANGE (time)",
    )
    op.create_index("sent_change_of", "sent_change", ["m3ter_id"], schema=_SCHEMA)


def _create_partitions() -> None:
    op.execute("CREATE TABLE m3sync.sent_change_default PARTITION OF m3sync.sent_change DEFAULT")
    today = datetime.now(UTC).date()
    for number in range(_FIRST_DAYS):
        day = today + timedelta(days=number)
        op.execute(
            f"CREATE TABLE m3sync.sent_change_{day:%Y%m%d} PARTITION OF m3sync.sent_change "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
        )


def _create_sent_fields() -> None:
    op.create_table(
        "sent_fields",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("fields", ARRAY(sa.Text), nullable=False, comment="an empty name: masked"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="of fields, for the key"),
        sa.UniqueConstraint("integration", "entity", "digest"),
        schema=_SCHEMA,
        comment="The Salesforce fields of the rows in synced_record.sent_values, in their order.",
    )
