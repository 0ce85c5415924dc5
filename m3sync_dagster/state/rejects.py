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
        object_name: API name of its Salesforce object, if the integration has synced before.
        instance_url: the address of its org, if it is known.
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
    object_name: str | None
    instance_url: str | None


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which rejects are meant; what is ``None`` does not restrict them.

    Args:
        entity: of which entity.
        code: with which code of Salesforce's or ours.
        limit: at most so many.
        m3ter_id: of this record.
    """

    entity: str | None = None
    code: str | None = None
    limit: int | None = None
    m3ter_id: str | None = None


ALL = RejectFilter()
"""Every reject."""

# The org is the one that the integration's fingerprints are about.
_INSTANCE_URL = """
    (SELECT login.instance_url FROM m3sync.credential_login AS login
     WHERE login.organization_id = basis.salesforce_org_id AND login.instance_url IS NOT NULL
     ORDER BY login.succeeded_at DESC LIMIT 1) AS instance_url"""
_LIST = f"""
SELECT rejected.integration, rejected.entity, rejected.m3ter_id, rejected.class AS error_class,
    rejected.code, rejected.message, rejected.fields, rejected.attempts, rejected.first_seen,
    rejected.last_seen, rejected.record_name, rejected.record_code, rejected.refused,
    synced.salesforce_id,
    basis.object AS object_name, {_INSTANCE_URL}
FROM m3sync.rejected_record AS rejected
LEFT JOIN m3sync.synced_record AS synced USING (integration, entity, m3ter_id)
LEFT JOIN m3sync.fingerprint_basis AS basis USING (integration, entity)
WHERE (%(name)s::text IS NULL OR rejected.integration = %(name)s)
AND (%(entity)s::text IS NULL OR rejected.entity = %(entity)s)
AND (%(code)s::text IS NULL OR rejected.code = %(code)s)
AND (%(m3ter_id)s::text IS NULL OR rejected.m3ter_id = %(m3ter_id)s)
ORDER BY rejected.last_seen DESC, rejected.integration, rejected.entity, rejected.m3ter_id
LIMIT %(limit)s
"""  # noqa: S608 - a constant
_OBJECTS = f"""
SELECT basis.object, {_INSTANCE_URL} FROM m3sync.fingerprint_basis AS basis
WHERE basis.integration = %(name)s AND EXISTS (
    SELECT 1 FROM m3sync.rejected_record AS rejected
    WHERE rejected.integration = basis.integration AND rejected.entity = basis.entity)
ORDER BY basis.object
"""  # noqa: S608 - a constant


def list_rejects(
    connection: psycopg.Connection, integration: str | None = None, wanted: RejectFilter = ALL
) -> list[Reject]:
    """List rejects, the newest first; only those of an integration if it is given."""
    values = {
        "name": integration,
        "entity": wanted.entity,
        "code": wanted.code,
        "limit": wanted.limit,
        "m3ter_id": wanted.m3ter_id,
    }
    with connection.cursor(row_factory=class_row(Reject)) as cursor:
        return cursor.execute(_LIST, values).fetchall()


def count_rejects(connection: psycopg.Connection) -> dict[str, int]:
    """Count rejects by integration."""
    rows = connection.execute(
        "SELECT integration, count(*) FROM m3sync.rejected_record GROUP BY integration"
    )
    return dict(rows.fetchall())


def objects_with_rejects(connection: psycopg.Connection, integration: str) -> dict[str, str]:
    """The objects for which rows of an integration are rejected, each with its org's address.

    One whose org's address is not known is left out.
    """
    found = connection.execute(_OBJECTS, {"name": integration}).fetchall()
    return {name: instance_url for name, instance_url in found if instance_url}


def retry_rejects(connection: psycopg.Connection, integration: str) -> int:
    """End the pauses of an integration's rejects, and count them: the next run sends them all."""
    return connection.execute(
        "UPDATE m3sync.rejected_record SET retry_at = NULL WHERE integration = %s", (integration,)
    ).rowcount
