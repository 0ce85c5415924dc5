"""In which database the fingerprints were stored, so that a restored one is recognized."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; where it is empty, the next run compares every record anew."""
    op.add_column(
        "fingerprint_basis",
        sa.Column("database_identity", sa.Text, comment="changes when a backup is restored"),
        schema="m3sync",
    )
