"""The sample organization's external mappings: which account is which customer of the CRM.

They have every field of the schema ``ExternalMappingResponse`` of m3ter's OpenAPI description.
Half of the accounts are mapped to an Account of the sandbox org, one of them to two, and one to
something that is not an Account; one mapping is of another external system.
"""

from collections.abc import Iterator, Sequence

from m3sync_dagster.sandbox.json_types import JsonObject

PATH = "externalmappings"
"""The last segment of the list's path."""


def sample_external_mappings(
    accounts: Sequence[str], crm_accounts: Sequence[str], user: str
) -> list[JsonObject]:
    """The mappings, oldest first.

    Args:
        accounts: at least six ids of m3ter's accounts.
        crm_accounts: at least two Ids of Accounts in Salesforce.
        user: who has made them.
    """
    pairs = _pairs(accounts, crm_accounts)
    return [_mapping(number, user, *pair) for number, pair in enumerate(pairs, start=1)]


def _pairs(accounts: Sequence[str], crm_accounts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each account with the system and the Id that it is mapped to."""
    for place, account in enumerate(accounts[: len(accounts) // 2]):
        found = crm_accounts[place % len(crm_accounts)]
        # Salesforce's own pages show 15 characters, and its APIs 18.
        yield account, "Salesforce", found if place % 3 else found[:15]
    yield accounts[0], "Salesforce", crm_accounts[1]
    yield accounts[-1], "Salesforce", "https://acme.my.salesforce.com/001"
    yield accounts[-2], "NetSuite", "4711"


def _mapping(number: int, user: str, account: str, system: str, external_id: str) -> JsonObject:
    made = "2025-03-01T09:00:00.000Z"
    return {
        "id": f"e47e0000-0000-4000-8000-{number:012}",
        "version": 1,
        "dtCreated": made,
        "dtLastModified": made,
        "createdBy": user,
        "lastModifiedBy": user,
        "m3terEntity": "Account",
        "m3terId": account,
        "externalSystem": system,
        "externalTable": "Customer" if system == "NetSuite" else "Account",
        "externalId": external_id,
    }
