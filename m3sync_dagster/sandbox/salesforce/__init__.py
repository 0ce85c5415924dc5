"""A sandbox Salesforce org: the parts of Salesforce's APIs that a sync uses, as documented.

Its objects and fields come from the same metadata that is deployed to an org, so a wrong field
name fails here as it does there. ``create_app`` creates the application; the endpoints under
``/sandbox/`` control it.
"""

from m3sync_dagster.sandbox.salesforce.app import METADATA, create_app
from m3sync_dagster.sandbox.salesforce.org import Credentials, Org
from m3sync_dagster.sandbox.salesforce.org_and_user import OrgAndUser
from m3sync_dagster.sandbox.salesforce.sample_objects import (
    add_account_link,
    add_sample_accounts,
    add_sample_objects,
)

__all__ = [
    "METADATA",
    "Credentials",
    "Org",
    "OrgAndUser",
    "add_account_link",
    "add_sample_accounts",
    "add_sample_objects",
    "create_app",
]
