"""The last login with each credential, as runs and ``m3sync check`` have recorded it."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.state.error_events import storable
from m3sync_dagster.sync.errors import SyncError

_COLUMNS = "credential, identity, succeeded_at, organization_id, instance_url, failed_at, error"
_SUCCEEDED = """
INSERT INTO m3sync.credential_login
    (credential, identity, succeeded_at, organization_id, instance_url)
VALUES (%(credential)s, %(identity)s, clock_timestamp(), %(organization_id)s, %(instance_url)s)
ON CONFLICT (credential) DO UPDATE SET
    identity = excluded.identity, succeeded_at = excluded.succeeded_at,
    organization_id = excluded.organization_id, instance_url = excluded.instance_url,
    failed_at = NULL, error = NULL
"""
# What an earlier login with other values has shown says nothing of this one.
_FAILED = """
INSERT INTO m3sync.credential_login AS known (credential, identity, failed_at, error)
VALUES (%(credential)s, %(identity)s, clock_timestamp(), %(error)s)
ON CONFLICT (credential) DO UPDATE SET
    identity = excluded.identity, failed_at = excluded.failed_at, error = excluded.error,
    succeeded_at = CASE WHEN known.identity = excluded.identity THEN known.succeeded_at END,
    organization_id = CASE WHEN known.identity = excluded.identity THEN known.organization_id END,
    instance_url = CASE WHEN known.identity = excluded.identity THEN known.instance_url END
"""


@dataclass(frozen=True, slots=True)
class Login:
    """The last login with a credential.

    Args:
        credential: its name.
        identity: a digest of the address and the user that its variables named.
        succeeded_at: when a login succeeded last; ``None`` if none did.
        organization_id: the id of the m3ter organization or Salesforce org of that login.
        instance_url: where Salesforce shows the org's records.
        failed_at, error: when and why the last login failed; ``None`` if it succeeded.
    """

    credential: str
    identity: str
    succeeded_at: datetime | None
    organization_id: str | None
    instance_url: str | None
    failed_at: datetime | None
    error: str | None


class PostgresLoginLog:
    """A ``LoginLog`` in the schema ``m3sync``.

    Args:
        connection: a connection to PostgreSQL.
        credential: the credential's name.
        identity: a digest of the address and the user that its variables name; no secret.
    """

    def __init__(self, connection: KeptConnection, credential: str, identity: str) -> None:
        self._connection = connection
        self._key: dict[str, str | None] = {"credential": credential, "identity": identity}

    def succeeded(self, organization_id: str | None, instance_url: str | None) -> None:
        """Record a login that succeeded."""
        self._write(_SUCCEEDED, organization_id=organization_id, instance_url=instance_url)

    def failed(self, error: SyncError) -> None:
        """Record a login that failed."""
        self._write(_FAILED, error=storable(error.cause))

    def _write(self, query: LiteralString, **values: str | None) -> None:
        self._connection.execute(query, self._key | values)


def read_logins(connection: psycopg.Connection) -> dict[str, Login]:
    """Read the last login with each credential, by the credential's name."""
    with connection.cursor(row_factory=class_row(Login)) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM m3sync.credential_login")  # noqa: S608 - a constant
        return {login.credential: login for login in cursor}
