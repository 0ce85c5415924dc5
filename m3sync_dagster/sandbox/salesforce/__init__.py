"""A stand-in for a Salesforce org: the parts of its APIs that a sync uses, as documented.

It takes its objects and fields from the very metadata that is deployed to an org, so a wrong field
name fails here as it would there. ``create_app`` makes one; ``/sandbox/...`` is its own interface.
"""

from m3sync_dagster.sandbox.salesforce.app import METADATA, create_app
from m3sync_dagster.sandbox.salesforce.identity import Identity
from m3sync_dagster.sandbox.salesforce.org import Credentials, Org

__all__ = ["METADATA", "Credentials", "Identity", "Org", "create_app"]
