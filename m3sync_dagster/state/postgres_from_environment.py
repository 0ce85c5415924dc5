"""The database of Dagster's storage and our state, from the environment."""

import os

from m3sync_dagster.postgres import POSTGRES_URL, connect, explain, parse
from m3sync_dagster.sync.errors import ConfigurationError

__all__ = ["POSTGRES_URL", "connect", "explain", "postgres_url"]


def postgres_url() -> str:
    """The address from the environment; ``parse`` reads it.

    Raises:
        ConfigurationError: it is not set, or is not the address of a PostgreSQL database.
    """
    url = os.environ.get(POSTGRES_URL, "").strip()
    if not url:
        raise ConfigurationError(
            f"the environment variable {POSTGRES_URL} is not set",
            "Set it to postgresql://user:password@host:port/database, or start m3sync dev, which "
            "has an embedded PostgreSQL.",
        )
    parse(url)
    return url
