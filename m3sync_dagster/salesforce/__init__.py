"""The door out: Salesforce.

``SalesforceOrg`` implements ``sync.ports.Destination`` over HTTP: it logs in, describes objects,
and upserts rows through sObject Collections or Bulk API 2.0 ingest jobs.
"""

from m3sync_dagster.salesforce.credential import SalesforceCredential
from m3sync_dagster.salesforce.errors import advise
from m3sync_dagster.salesforce.org import SalesforceOrg

__all__ = ["SalesforceCredential", "SalesforceOrg", "advise"]
