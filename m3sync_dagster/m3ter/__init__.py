"""The door to m3ter: reads an organization's records, politely and to the end."""

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.source import M3terSource, User

__all__ = ["M3terAccessKey", "M3terSource", "User"]
