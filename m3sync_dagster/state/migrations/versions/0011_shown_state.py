"""What status, events and rejects show: logins, last syncs, closed events, refused values."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"

_SCHEMA = "m3sync"
_TIME = sa.DateTime(timezone=True)
# Dagster's tables are in the same database if they are there at all. The last materialization of an
# asset is the last complete sync of its entity.
_LAST_SYNCS = """
INSERT INTO m3sync.entity_sync (integration, entity, run_id, ended_at)
SELECT found.key->>0, substr(found.key->>1, length('salesforce_') + 1), last.run_id,
    last.timestamp AT TIME ZONE 'UTC'
FROM (SELECT asset_key, asset_key::jsonb AS key FROM asset_keys) AS found
CROSS JOIN LATERAL (
    SELECT run_id, timestamp FROM event_logs
    WHERE asset_key = found.asset_key AND dagster_event_type = 'ASSET_MATERIALIZATION'
    AND run_id <> ''
    ORDER BY id DESC LIMIT 1) AS last
WHERE jsonb_array_length(found.key) = 2 AND starts_with(found.key->>1, 'salesforce_')
"""


def upgrade() -> None:
    """Create the tables, fill in the last syncs from Dagster's tables, and add the columns."""
    _create_credential_login()
    _create_entity_sync()
    if op.get_bind().execute(sa.text("SELECT to_regclass('event_logs') IS NOT NULL")).scalar():
        op.execute(_LAST_SYNCS)
    for table, columns in _new_columns().items():
        for column in columns:
            op.add_column(table, column, schema=_SCHEMA)


def _create_credential_login() -> None:
    op.create_table(
        "credential_login",
        sa.Column("credential", sa.Text, primary_key=True),
        sa.Column("identity", sa.Text, nullable=False, comment="digest of address and user"),
        sa.Column("succeeded_at", _TIME),
        sa.Column("organization_id", sa.Text, comment="the organization of that login"),
        sa.Column("instance_url", sa.Text, comment="where Salesforce shows its records"),
        sa.Column("failed_at", _TIME, comment="empty if the last login succeeded"),
        sa.Column("error", sa.Text),
        schema=_SCHEMA,
        comment="The last login with each m3ter and Salesforce credential.",
    )


def _create_entity_sync() -> None:
    op.create_table(
        "entity_sync",
        sa.Column("integration", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("ended_at", _TIME, nullable=False),
        sa.Column("read", sa.BigInteger, comment="records that the sync read"),
        sa.Column("rejected", sa.BigInteger, comment="those of them invalid or rejected"),
        schema=_SCHEMA,
        comment="The last complete sync of each entity.",
    )


def _new_columns() -> dict[str, list[sa.Column[Any]]]:
    return {
        "integration_event": [
            sa.Column("closed", _TIME, comment="when the integration had recovered from it"),
            sa.Column(
                "lasting",
                sa.Boolean,
                nullable=False,
                server_default=sa.false(),
                comment="whether only a person closes it",
            ),
        ],
        "rejected_record": [
            sa.Column("record_name", sa.Text, comment="the record's name in m3ter"),
            sa.Column("record_code", sa.Text, comment="the record's code in m3ter"),
            sa.Column("refused", JSONB, comment="Salesforce field to the value that was refused"),
        ],
        "integration_state": [
            sa.Column("late_since", sa.Double, comment="Unix time; people were notified of it"),
            sa.Column(
                "rejects_since", sa.Double, comment="Unix time; people were notified of the rejects"
            ),
        ],
    }
