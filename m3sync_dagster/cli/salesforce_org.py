"""Which Salesforce org a command is about, asked of the org itself."""

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.state import SalesforceOrg
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError


def ask_org(client: SalesforceClient) -> SalesforceOrg:
    """Ask an org for its Id, its name and its kind, with one query.

    Where this user may not read the name and the kind, only the Id is known, from the login.

    Raises:
        SyncError: the login failed.
    """
    identity = client.identity()
    try:
        organization = client.organization()
    except (ConfigurationError, RemoteError):
        return SalesforceOrg(identity.organization_id, None, None)
    return SalesforceOrg(organization.id, organization.name, organization.is_sandbox)
