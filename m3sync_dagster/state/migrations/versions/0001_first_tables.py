"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Create the tables of acknowledged, outgoing and rejected records, jobs and events."""
    _synced_record()
    _outgoing_record()
    _rejected_record()
    _ingest_job()
    _integration_event()


def _key() -> list[sa.Column[str]]:
    return [
        sa.Column("integration", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("m3ter_id", sa.Text, primary_key=True),
    ]


def _synced_record() -> None:
    op.create_table(
        "synced_record",
        *_key(),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="of the mapped row"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="of m3ter's JSON text"),
        sa.Column("salesforce_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("synced_at", _TIME, nullable=False, server_default=_NOW),
        schema="m3sync",
        comment="What Salesforce acknowledged last, one row for each record.",
    )
    op.create_index(
        "synced_record_digest",
        "synced_record",
        ["integration", "entity", "digest"],
        schema="m3sync",
    )


def _outgoing_record() -> None:
    op.create_table(
        "outgoing_record",
        *_key(),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("shape", sa.Integer, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("sibling", sa.Text),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        schema="m3sync",
        comment="Rows of the run under way that are not answered yet.",
        # What is lost in a crash of the server is read from m3ter again.
        prefixes=["UNLOGGED"],
    )


def _rejected_record() -> None:
    op.create_table(
        "rejected_record",
        *_key(),
        sa.Column("class", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("fields", ARRAY(sa.Text), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("first_seen", _TIME, nullable=False, server_default=_NOW),
        sa.Column("last_seen", _TIME, nullable=False, server_default=_NOW),
        schema="m3sync",
        comment="Records that are not in Salesforce as they are in m3ter, and why.",
    )


def _ingest_job() -> None:
    op.create_table(
        "ingest_job",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False, comment="of the CSV file"),
        sa.Column("state", sa.Text, nullable=False, server_default="Open"),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("ended_at", _TIME, comment="when all results were on record"),
        schema="m3sync",
        comment="Bulk API 2.0 ingest jobs.",
    )
    op.create_index("ingest_job_of", "ingest_job", ["integration", "entity"], schema="m3sync")


def _integration_event() -> None:
    op.create_table(
        "integration_event",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time", _TIME, nullable=False, server_default=_NOW),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("entity", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("actioned", _TIME, comment="when somebody marked it as dealt with"),
        schema="m3sync",
        comment="What went wrong, one row for each cause and run.",
    )
    op.create_index(
        "integration_event_of", "integration_event", ["integration", "time"], schema="m3sync"
    )
