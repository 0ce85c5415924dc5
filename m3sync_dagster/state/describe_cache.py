"""The describes of Salesforce objects, kept in PostgreSQL from run to run."""

from m3sync_dagster.state.postgres_from_environment import connect

# The time of the last use decides what is purged; to the day, so that few reads write.
_READ = """
WITH used AS (
    UPDATE m3sync.describe_cache SET read_at = clock_timestamp()
    WHERE asked_by = %(asked_by)s AND object = %(object)s
    AND read_at < clock_timestamp() - interval '1 day')
SELECT body, last_modified FROM m3sync.describe_cache
WHERE asked_by = %(asked_by)s AND object = %(object)s
"""


class PostgresDescribeCache:
    """A ``DescribeCache`` in the schema ``m3sync``.

    Args:
        url: PostgreSQL's address.
        asked_by: a digest of the org and the user, since another user may see other fields.
    """

    def __init__(self, url: str, asked_by: str) -> None:
        self._url = url
        self._asked_by = asked_by

    def read(self, object_name: str) -> tuple[bytes, str] | None:
        """Return an object's describe as it was received, and its time stamp."""
        with connect(self._url) as connection:
            row = connection.execute(
                _READ, {"asked_by": self._asked_by, "object": object_name}
            ).fetchone()
        return (bytes(row[0]), str(row[1])) if row else None

    def write(self, object_name: str, body: bytes, last_modified: str) -> None:
        """Store an object's describe; it replaces an earlier one."""
        with connect(self._url) as connection:
            connection.execute(
                "INSERT INTO m3sync.describe_cache (asked_by, object, body, last_modified) "
                "VALUES (%s, %s, %s, %s) ON CONFLICT (asked_by, object) DO UPDATE SET "
                "body = EXCLUDED.body, last_modified = EXCLUDED.last_modified, "
                "read_at = clock_timestamp()",
                (self._asked_by, object_name, body, last_modified),
            )
