"""What stored fingerprints are claims about, and which records a row points to."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table of claim bases, and let fingerprints be withdrawn.

    Of the fingerprints that are stored already it is not known which org they are about. They
    are withdrawn by the first run, which then sends every record once.
    """
    op.create_table(
        "fingerprint_basis",
        sa.Column("integration", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("salesforce_org_id", sa.Text, nullable=False),
        sa.Column("salesforce_org_name", sa.Text, comment="as the org said it last"),
        sa.Column("salesforce_is_sandbox", sa.Boolean, comment="as above"),
        sa.Column("m3ter_org_id", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("external_id_field", sa.Text, nullable=False),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        schema="m3sync",
        comment="Where the acknowledged records of an integration's entity are.",
    )
    for name in ("fingerprint", "digest"):
        op.alter_column("synced_record", name, nullable=True, schema="m3sync")
    for table in ("synced_record", "outgoing_record"):
        for column in _columns():
            op.add_column(table, column, schema="m3sync")
    op.add_column(
        "ingest_job",
        sa.Column("salesforce_org_id", sa.Text, comment="the org that the job is in"),
        schema="m3sync",
    )


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "parents",
            ARRAY(sa.Text),
            nullable=False,
            server_default="{}",
            comment="m3ter ids of the records that the row points to",
        ),
        sa.Column(
            "cut",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="whether a text was cut to the length of its field",
        ),
    ]
