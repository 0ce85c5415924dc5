"""What was done about records that m3ter no longer has."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table of flagged and deleted records."""
    op.create_table(
        "removed_record",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("m3ter_id", sa.Text, nullable=False),
        sa.Column("salesforce_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False, comment="flag or delete"),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column(
            "removed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        schema="m3sync",
        comment="Salesforce records that were flagged or deleted, because m3ter had them no more.",
    )
    op.create_index(
        "removed_record_of", "removed_record", ["integration", "entity"], schema="m3sync"
    )
