"""Until when a person has disabled an integration."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; where it is empty, only a person enables a disabled integration again."""
    op.add_column(
        "integration_state",
        sa.Column(
            "disabled_until",
            sa.DateTime(timezone=True),
            comment="when the guard starts the schedule again",
        ),
        schema="m3sync",
    )
