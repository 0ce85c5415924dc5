"""The m3ter client: reads an organization's records, within m3ter's rate limit."""

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.read_ahead import ReadAhead
from m3sync_dagster.m3ter.source import M3terSource, User

__all__ = ["M3terAccessKey", "M3terSource", "ReadAhead", "User"]
