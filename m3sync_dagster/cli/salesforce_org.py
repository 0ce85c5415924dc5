"""Which Salesforce org a command is about, asked of the org itself."""

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.state import SalesforceOrg


def ask_org(client: SalesforceClient) -> SalesforceOrg:
    """Ask an org for its Id, its name and its kind, with one query.

    Raises:
        SyncError: Salesforce could not be asked, or does not say.
    """
    organization = client.organization()
    return SalesforceOrg(organization.id, organization.name, organization.is_sandbox)
