"""What Salesforce orgs have said of their objects, to be asked only for what has changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table of describes."""
    op.create_table(
        "describe_cache",
        sa.Column("asked_by", sa.Text, primary_key=True, comment="digest of org, app and user"),
        sa.Column("object", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="the describe's JSON"),
        sa.Column("last_modified", sa.Text, nullable=False, comment="for If-Modified-Since"),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        schema="m3sync",
        comment="Describes of Salesforce objects as they were last read.",
    )
