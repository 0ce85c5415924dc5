"""The Ids and names of the sandbox org and of its integration user."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.record_table import record_id

ComputedRecord = Mapping[str, str | bool | None]
"""A record of a setup object: its values by field path."""

_NUMBERS = 62**12
"""How many Ids one key prefix allows."""


def random_id(key_prefix: str) -> str:
    """A random 18-character Id, so that each sandbox has Ids of its own."""
    return record_id(key_prefix, random.SystemRandom().randrange(_NUMBERS))


@dataclass(frozen=True, slots=True)
class OrgAndUser:
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

    def organization_record(self) -> ComputedRecord:
        """The only record of the object Organization.

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

    def user_record(self, username: str) -> ComputedRecord:
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

    def url(self, base_url: str) -> str:
        """The identity URL, which names the org and the user."""
        return f"{base_url}/id/{self.organization_id}/{self.user_id}"

    def identity(self, username: str, base_url: str) -> JsonObject:
        """The response of the identity URL.

        Source: Salesforce Help, "Identity URLs".
        """
        photo = f"{base_url}/profilephoto/005/F"
        return {
            "id": self.url(base_url),
            "asserted_user": True,
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "username": username,
            "nick_name": "integration",
            "display_name": "Integration User",
            "first_name": "Integration",
            "last_name": "User",
            "email": username,
            "photos": {"picture": photo, "thumbnail": f"{photo}/T"},
            "urls": self._urls(base_url),
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "is_app_installed": True,
        }

    def _urls(self, base_url: str) -> dict[str, str]:
        """The addresses of the APIs; clients put the API version in place of ``{version}``."""
        data = f"{base_url}/services/data/v{{version}}"
        return {
            "rest": f"{data}/",
            "sobjects": f"{data}/sobjects/",
            "query": f"{data}/query/",
            "recent": f"{data}/recent/",
            "profile": f"{base_url}/{self.user_id}",
            "custom_domain": base_url,
        }

    def user_info(self, username: str, base_url: str) -> JsonObject:
        """The response of ``/services/oauth2/userinfo``.

        Source: Salesforce Help, "The UserInfo Endpoint".
        """
        return {
            "sub": self.url(base_url),
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "preferred_username": username,
            "nickname": "integration",
            "name": "Integration User",
            "given_name": "Integration",
            "family_name": "User",
            "email": username,
            "email_verified": True,
            "zoneinfo": "Etc/UTC",
            "urls": self._urls(base_url),
            "user_type": "STANDARD",
            "active": True,
            "language": "en_US",
            "locale": "en_US",
        }
