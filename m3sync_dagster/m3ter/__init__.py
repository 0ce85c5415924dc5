"""The door to m3ter: reads an organization's records, politely and to the end."""

from m3sync_dagster.m3ter.credential import M3terCredential
from m3sync_dagster.m3ter.organization import M3terOrganization, User

__all__ = ["M3terCredential", "M3terOrganization", "User"]
