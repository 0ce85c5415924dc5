"""Since when the integrations are gone whose state is still here."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table of absent integrations, and say what describes are kept by."""
    op.create_table(
        "absent_integration",
        sa.Column("integration", sa.Text, primary_key=True),
        sa.Column(
            "absent_since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
            comment="when a purge first found it in no defs.yaml",
        ),
        schema="m3sync",
        comment="Integrations that have state here and are in no defs.yaml.",
    )
    op.alter_column(
        "describe_cache", "read_at", comment="when it was last used, to the day", schema="m3sync"
    )
