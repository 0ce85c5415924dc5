"""Reading an org's Organization record.

Source: Object Reference for the Salesforce Platform, "Organization".
"""

import msgspec

from m3sync_dagster.salesforce.soql import ORGANIZATION
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.salesforce_schema import Organization

SHORT_ID = 15
"""Characters that identify a record; the last three of 18 only encode their case."""


class _Row(msgspec.Struct, rename="pascal"):
    id: str
    name: str | None = None
    is_sandbox: bool = False
    instance_name: str | None = None


class _Page(msgspec.Struct):
    records: list[_Row]


def read_organization(transport: Transport) -> Organization:
    """Read the one record of the object Organization.

    Raises:
        SyncError: Salesforce could not be reached, or the record is hidden.
    """
    page = transport.fetch("GET", "/query", _Page, params={"q": ORGANIZATION})
    if not page.records:
        raise RemoteError(
            "The Organization record is hidden from the integration user",
            "Give the integration user the permission API Enabled, and run the command again.",
        )
    row = page.records[0]
    return Organization(row.id[:SHORT_ID], row.name or "", row.is_sandbox, row.instance_name or "")
