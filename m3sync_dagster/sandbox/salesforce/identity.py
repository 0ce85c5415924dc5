"""Which org the sandbox is, and as which user the integration acts in it."""

import random
from dataclasses import dataclass, field
from typing import Any

from m3sync_dagster.sandbox.salesforce.record_table import record_id

_NUMBERS = 62**12
"""How many Ids there are behind one key prefix."""


def random_id(key_prefix: str) -> str:
    """An 18-character Id that no other sandbox has."""
    return record_id(key_prefix, random.SystemRandom().randrange(_NUMBERS))


@dataclass(frozen=True, slots=True)
class Identity:
    """One org and one user.

    Args:
        organization_id, user_id: their 18-character Ids, random by default.
        name: the org's name.
        is_sandbox: whether the org is a sandbox and not production.
        edition: ``OrganizationType``.
        instance: ``InstanceName``.
    """

    organization_id: str = field(default_factory=lambda: random_id("00D"))
    user_id: str = field(default_factory=lambda: random_id("005"))
    name: str = "m3sync sandbox"
    is_sandbox: bool = True
    edition: str = "Developer Edition"
    instance: str = "SBX1"

    def organization_row(self) -> dict[str, Any]:
        """The one record of the object Organization.

        Source: Object Reference for the Salesforce Platform, "Organization".
        """
        return {
            "Id": self.organization_id,
            "Name": self.name,
            "IsSandbox": self.is_sandbox,
            "OrganizationType": self.edition,
            "InstanceName": self.instance,
            "NamespacePrefix": None,
            "TrialExpirationDate": None,
            "LanguageLocaleKey": "en_US",
            "DefaultLocaleSidKey": "en_US",
            "TimeZoneSidKey": "Etc/UTC",
        }

    def user_row(self, username: str) -> dict[str, Any]:
        """The record of the integration user.

        Source: Object Reference for the Salesforce Platform, "User".
        """
        return {
            "Id": self.user_id,
            "Username": username,
            "Name": "Integration User",
            "FirstName": "Integration",
            "LastName": "User",
            "Email": username,
            "IsActive": True,
            "UserType": "Standard",
        }

    def user_info(self, username: str, base: str) -> dict[str, Any]:
        """What ``/services/oauth2/userinfo`` answers.

        Source: Salesforce Help, "The UserInfo Endpoint".
        """
        return {
            "sub": f"{base}/id/{self.organization_id}/{self.user_id}",
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "preferred_username": username,
            "name": "Integration User",
            "email": username,
            "user_type": "STANDARD",
            "active": True,
            "language": "en_US",
            "locale": "en_US",
        }
