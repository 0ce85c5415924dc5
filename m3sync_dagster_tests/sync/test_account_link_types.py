"""Accounts are counted by the outcome of their link, and a few of them are named."""

from collections import Counter

import pytest

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy, LinkCounts, LinkOutcome


@pytest.mark.parametrize(
    ("link", "source"),
    [
        (AccountLink("Crm__c"), "external mapping"),
        (AccountLink("Crm__c", by=LinkBy.CUSTOM_FIELD, name="sfdcId"), "customFields.sfdcId"),
        (AccountLink("Crm__c", by=LinkBy.CODE, name="AccountNumber"), "account code"),
    ],
)
def test_what_a_link_is_filled_from(link: AccountLink, source: str) -> None:
    assert link.source == source


def counted(outcome: LinkOutcome, *names: str) -> LinkCounts:
    counts = LinkCounts()
    for name in names:
        counts.add(outcome, lambda name=name: name)  # type: ignore[misc]
    return counts


def test_the_first_five_accounts_of_each_outcome_without_a_link_are_named() -> None:
    linked = counted(LinkOutcome.MATCHED, "a", "b")
    assert linked == LinkCounts(Counter({LinkOutcome.MATCHED: 2}), {})
    named = {LinkOutcome.NONE: ["a", "b", "c", "d", "e"]}
    assert counted(LinkOutcome.NONE, *"abcdefg") == LinkCounts(
        Counter({LinkOutcome.NONE: 7}), named
    )


def test_the_counts_of_batches_are_added() -> None:
    total = LinkCounts()
    total.update(counted(LinkOutcome.MATCHED, "a"))
    total.update(counted(LinkOutcome.NONE, "b", "c", "d"))
    total.update(counted(LinkOutcome.NONE, "e", "f", "g"))
    total.update(counted(LinkOutcome.AMBIGUOUS, "h"))
    assert total.as_dict() == {"matched": 1, "none": 6, "ambiguous": 1, "malformed": 0}
    assert total.without_link == 7
    assert total.examples == {
        LinkOutcome.NONE: ["b", "c", "d", "e", "f"],
        LinkOutcome.AMBIGUOUS: ["h"],
    }
