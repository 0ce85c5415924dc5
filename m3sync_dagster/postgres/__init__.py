"""PostgreSQL: its address, connections to it, and what its errors mean."""

from m3sync_dagster.postgres.address import POSTGRES_URL, Address, parse
from m3sync_dagster.postgres.connection import Connection, connect, open_connection
from m3sync_dagster.postgres.errors import explain
from m3sync_dagster.postgres.kept_connection import KeptConnection

__all__ = [
    "POSTGRES_URL",
    "Address",
    "Connection",
    "KeptConnection",
    "connect",
    "explain",
    "open_connection",
    "parse",
]
