"""The event of accounts without a link."""

import pytest

from m3sync_dagster.components.link_report import missing_links
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy, LinkCounts, LinkOutcome


def counted(**names: list[str]) -> LinkCounts:
    counts = LinkCounts()
    for outcome, accounts in names.items():
        for account in accounts:
            counts.add(LinkOutcome(outcome), lambda account=account: account)  # type: ignore[misc]
    return counts


def test_no_event_where_every_account_has_a_link() -> None:
    assert missing_links(AccountLink("L__c"), counted(matched=["a", "b"])) is None
    assert missing_links(AccountLink("L__c"), LinkCounts()) is None


@pytest.mark.parametrize(
    ("link", "outcomes", "reasons", "remedy"),
    [
        (
            AccountLink("L__c"),
            ("none", "ambiguous", "malformed"),
            (
                "L__c is empty: no external mapping to Salesforce (7): a, b, c, d, e and 2 more; "
                "external mappings to several records (7): a, b, c, d, e and 2 more; "
                "an external mapping that is not the Id of a record of Account (7): "
            ),
            "give each account one External Mapping: External System Salesforce",
        ),
        (
            AccountLink("L__c", by=LinkBy.CUSTOM_FIELD, name="sfdcId"),
            ("none", "malformed"),
            (
                "L__c is empty: no value in the custom field sfdcId (7): a, b, c, d, e and 2 more; "
                "a custom field sfdcId that is not the Id of a record of Account (7): a, b"
            ),
            "write the Id of its Account into the custom field sfdcId",
        ),
        (
            AccountLink("L__c", "Customer__c", LinkBy.CODE, "Number__c"),
            ("none", "ambiguous"),
            (
                "L__c is empty: no Customer__c with their code in Number__c (7): a, b, c, d, e "
                "and 2 more; several records of Customer__c with their code in Number__c (7): a, b"
            ),
            "Give the Customer__c in Salesforce the account's code in Number__c",
        ),
    ],
)
def test_the_event_names_the_accounts_and_what_to_do(
    link: AccountLink, outcomes: tuple[str, ...], reasons: str, remedy: str
) -> None:
    names = {outcome: list("abcdefg") for outcome in outcomes}
    event = missing_links(link, counted(**names, matched=["k"]))
    assert event is not None
    assert event.event == "integration.missingaccountmapping.error"
    number = 7 * len(outcomes)
    looked_up = " that were looked up" if link.by is LinkBy.CODE else ""
    start = f"{number} of {number + 1} accounts{looked_up} have no link to the {link.object}"
    assert event.cause.startswith(start)
    assert reasons in event.cause
    assert remedy in event.remedy
    assert event.remedy.endswith("The accounts themselves are sent.")
