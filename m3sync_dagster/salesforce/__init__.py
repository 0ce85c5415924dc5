"""The Salesforce client.

``SalesforceClient`` implements ``sync.interfaces.Destination`` over HTTP: it logs in, describes
objects, and upserts rows through sObject Collections or Bulk API 2.0 ingest jobs.
"""

from m3sync_dagster.salesforce.client import SalesforceClient
from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.error_classification import look_up_code
from m3sync_dagster.salesforce.org_links import OrgLinks, record_link

__all__ = ["ConnectedApp", "OrgLinks", "SalesforceClient", "look_up_code", "record_link"]
