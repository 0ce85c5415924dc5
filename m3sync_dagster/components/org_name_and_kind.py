"""Reads which Salesforce org a client is connected to."""

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.state import SalesforceOrg
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError


def read_org_name_and_kind(client: SalesforceClient) -> SalesforceOrg:
    """Read an org's Id, name and kind with one query.

    If this user may not read name and kind, only the Id is known, from the login.

    Raises:
        SyncError: the login failed.
    """
    identity = client.identity()
    try:
        organization = client.organization()
    except (ConfigurationError, RemoteError):
        return SalesforceOrg(identity.organization_id, None, None)
    return SalesforceOrg(organization.id, organization.name, organization.is_sandbox)
