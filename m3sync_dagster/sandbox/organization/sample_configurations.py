"""The sample organization's configurations of m3ter's hosted integrations.

They have every field of the schema ``IntegrationConfigResponse`` of m3ter's OpenAPI description.
m3ter does not publish the keys of ``configData``: those here are the labels of its Console. The
newest one has a key that no label has, and one configuration is for another destination.
"""

from collections.abc import Sequence

from m3sync_dagster.sandbox.json_types import JsonObject

PATH = "integrationconfigs"
"""The last segment of the list's path."""

_CREDENTIAL = "c2ed0000-0000-4000-8000-000000000001"
_DESTINATION = "de570000-0000-4000-8000-000000000001"
_OWN_OBJECTS = {"namespace": "Custom Objects"}


def sample_configurations(accounts: Sequence[str], users: Sequence[str]) -> list[JsonObject]:
    """The configurations, oldest first.

    Args:
        accounts: at least three ids of accounts.
        users: at least two ids of users.
    """
    described = [
        ("NetSuite", "Bill", "Bills to NetSuite", {"subsidiary": "Acme UK"}),
        ("Salesforce", "Account", "Acme accounts", _accounts(accounts, users)),
        ("Salesforce", "Contract", 'Verträge "Süd"', _contracts(accounts)),
        ("Salesforce", "Commitment", "Prepayments", {"accountIds": None, **_OWN_OBJECTS}),
        ("Salesforce", "Balance", "契約残高", {**_OWN_OBJECTS, "syncMode": "incremental"}),
    ]
    return [_configuration(place, users[0], one) for place, one in enumerate(described, start=1)]


def _accounts(accounts: Sequence[str], users: Sequence[str]) -> JsonObject:
    return {
        "accountIds": [],
        "restrictedAccountIds": [accounts[2]],
        "integrationDisabledNotificationUsers": list(users[:2]),
        **_OWN_OBJECTS,
        "customFieldMappings": {"tier": "Tier__c", "region": "Sales_Region__c"},
    }


def _contracts(accounts: Sequence[str]) -> JsonObject:
    return {
        "accountIds": list(accounts[:2]),
        "restrictedAccountIds": [],
        "integrationDisabledNotificationUsers": [],
        **_OWN_OBJECTS,
        "customFieldMappings": {"tier": "Tier__c"},
    }


def _configuration(
    number: int,
    user: str,
    described: tuple[str, str, str, JsonObject],
) -> JsonObject:
    destination, entity, name, data = described
    return {
        "id": f"c0f10000-0000-4000-8000-{number:012}",
        "version": 2,
        "entityType": entity,
        "entityId": None,
        "destination": destination,
        "destinationId": _DESTINATION,
        "configData": data,
        "authorized": True,
        "enabled": entity != "Commitment",
        "triggerType": "SCHEDULE",
        "integrationCredentialsId": _CREDENTIAL,
        "name": name,
        "dtCreated": f"2026-02-{number:02}T09:00:00.000Z",
        "dtLastModified": f"2026-03-{number:02}T09:00:00.000Z",
        "createdBy": user,
        "lastModifiedBy": user,
    }
