"""When a refused row goes again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Note which row was refused, and until when it rests."""
    op.add_column(
        "rejected_record",
        sa.Column("fingerprint", sa.LargeBinary, comment="of the row that Salesforce refused"),
        schema="m3sync",
    )
    op.add_column(
        "rejected_record",
        sa.Column(
            "retry_at",
            sa.DateTime(timezone=True),
            comment="unless the row changes; the next run where it is empty",
        ),
        schema="m3sync",
    )
