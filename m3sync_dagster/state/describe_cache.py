"""The describes of Salesforce objects, kept in PostgreSQL from run to run."""

from m3sync_dagster.postgres import KeptConnection

# The time of the last use decides what is purged; to the day, so that few reads write.
_READ = """
WITH used AS (
    UPDATE m3sync.describe_cache SET read_at = clock_timestamp()
    WHERE asked_by = %(asked_by)s AND object = %(object)s
    AND read_at < clock_timestamp() - interval '1 day')
SELECT body, last_modified FROM m3sync.describe_cache
WHERE asked_by = %(asked_by)s AND object = %(object)s
"""
_WRITE = """
INSERT INTO m3sync.describe_cache (asked_by, object, body, last_modified)
VALUES (%(asked_by)s, %(object)s, %(body)s, %(last_modified)s)
ON CONFLICT (asked_by, object) DO UPDATE SET
    body = EXCLUDED.body, last_modified = EXCLUDED.last_modified, read_at = clock_timestamp()
"""


class PostgresDescribeCache:
    """A ``DescribeCache`` in the schema ``m3sync``.

    Args:
        connection: a connection to PostgreSQL.
        asked_by: a digest of the org and the user, since another user may see other fields.
    """

    def __init__(self, connection: KeptConnection, asked_by: str) -> None:
        self._connection = connection
        self._asked_by = asked_by

    def read(self, object_name: str) -> tuple[bytes, str] | None:
        """Return an object's describe as it was received, and its time stamp."""
        rows = self._connection.execute(_READ, self._key(object_name))
        return (bytes(rows[0][0]), str(rows[0][1])) if rows else None

    def write(self, object_name: str, body: bytes, last_modified: str) -> None:
        """Store an object's describe; it replaces an earlier one."""
        self._connection.execute(
            _WRITE, self._key(object_name) | {"body": body, "last_modified": last_modified}
        )

    def _key(self, object_name: str) -> dict[str, object]:
        return {"asked_by": self._asked_by, "object": object_name}
