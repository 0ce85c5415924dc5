"""Reading the invalid and rejected rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Reject:
    """A record whose present row is invalid or rejected, and why.

    Args:
        integration, entity, m3ter_id: the record.
        error_class: see ``ErrorClass``.
        code, message, fields: the cause.
        attempts: consecutive runs in which this row was rejected.
        first_seen, last_seen: when a run first and last recorded it.
        record_name, record_code: the record's name and code in m3ter, where it has them.
        refused: Salesforce field to the value that was refused; ``None`` if no field is named.
        salesforce_id: the record's Salesforce Id, if it is in Salesforce.
        salesforce_url: the record's page in Salesforce.
    """

    integration: str
    entity: str
    m3ter_id: str
    error_class: str
    code: str
    message: str
    fields: list[str]
    attempts: int
    first_seen: datetime
    last_seen: datetime
    record_name: str | None
    record_code: str | None
    refused: Mapping[str, str | None] | None
    salesforce_id: str | None
    salesforce_url: str | None


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which rejects are meant; what is ``None`` does not restrict them.

    Args:
        entity: of which entity.
        code: with which code of Salesforce's or ours.
        limit: at most so many.
    """

    entity: str | None = None
    code: str | None = None
    limit: int | None = None


ALL = RejectFilter()
"""Every reject."""

# The page is that of the org whose Id the integration's fingerprints are about.
_LIST = """
SELECT rejected.integration, rejected.entity, rejected.m3ter_id, rejected.class AS error_class,
    rejected.code, rejected.message, rejected.fields, rejected.attempts, rejected.first_seen,
    rejected.last_seen, rejected.record_name, rejected.record_code, rejected.refused,
    synced.salesforce_id,
    (SELECT login.instance_url || '/' || synced.salesforce_id
     FROM m3sync.credential_login AS login
     JOIN m3sync.fingerprint_basis AS basis ON basis.salesforce_org_id = login.organization_id
     WHERE basis.integration = rejected.integration AND basis.entity = rejected.entity
     AND login.instance_url IS NOT NULL
     ORDER BY login.succeeded_at DESC LIMIT 1) AS salesforce_url
FROM m3sync.rejected_record AS rejected
LEFT JOIN m3sync.synced_record AS synced USING (integration, entity, m3ter_id)
WHERE (%(name)s::text IS NULL OR rejected.integration = %(name)s)
AND (%(entity)s::text IS NULL OR rejected.entity = %(entity)s)
AND (%(code)s::text IS NULL OR rejected.code = %(code)s)
ORDER BY rejected.last_seen DESC, rejected.integration, rejected.entity, rejected.m3ter_id
LIMIT %(limit)s
"""


def list_rejects(
    connection: psycopg.Connection, integration: str | None = None, wanted: RejectFilter = ALL
) -> list[Reject]:
    """List rejects, the newest first; only those of an integration if it is given."""
    values = {
        "name": integration,
        "entity": wanted.entity,
        "code": wanted.code,
        "limit": wanted.limit,
    }
    with connection.cursor(row_factory=class_row(Reject)) as cursor:
        return cursor.execute(_LIST, values).fetchall()


def count_rejects(connection: psycopg.Connection) -> dict[str, int]:
    """Count rejects by integration."""
    rows = connection.execute(
        "SELECT integration, count(*) FROM m3sync.rejected_record GROUP BY integration"
    )
    return dict(rows.fetchall())


def retry_rejects(connection: psycopg.Connection, integration: str) -> int:
    """End the pauses of an integration's rejects, and count them: the next run sends them all."""
    return connection.execute(
        "UPDATE m3sync.rejected_record SET retry_at = NULL WHERE integration = %s", (integration,)
    ).rowcount
