"""Components: they build Dagster's assets, schedules and resources from YAML."""

from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.salesforce_sync import SalesforceSync

__all__ = ["M3terCredential", "SalesforceCredential", "SalesforceSync"]
