"""Ids of 15 and 18 characters.

Source of the first pair: Salesforce Help; the others were computed by hand.
"""

import pytest

from m3sync_dagster.sync.salesforce_ids import full_id


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("001D000000IRFma", "001D000000IRFmaIAH"),
        ("001D000000IRFmaIAH", "001D000000IRFmaIAH"),
        ("001000000000001", "001000000000001AAA"),
        ("001ABCDEabcdefA", "001ABCDEabcdefAYHQ"),
        ("001ZZZZZZZZZZZZ", "001ZZZZZZZZZZZZY55"),
    ],
)
def test_an_id_gets_its_three_characters(text: str, complete: str) -> None:
    assert full_id(text, "Account") == complete


@pytest.mark.parametrize(
    "text",
    [
        "001D000000IRFmaIAG",
        "001d000000irfmaIAH",
        "001D000000IRFmaiah",
        "001D000000IRFm",
        "001D000000IRFmaI",
        "001D000000IRFmaIAHA",
        "001D000000IRFma\n",
        " 001D000000IRFma",
        "001D000000IRFm-",
        "001D000000IRFmé",
        "00\u0661D000000IRFma",
        "003D000000IRFma",
        "a01D000000IRFma",
        "",
        None,
        15,
    ],
)
def test_what_is_no_id_of_an_account(text: object) -> None:
    assert full_id(text, "Account") is None


def test_the_ids_of_other_objects_may_begin_with_anything() -> None:
    assert full_id("a01D000000IRFma", "Customer__c") == "a01D000000IRFmaIAH"
    assert full_id("a01D000000IRFmaIAG", "Customer__c") is None
