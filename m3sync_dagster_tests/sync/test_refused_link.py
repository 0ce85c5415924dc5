"""A rejection says which link to a record of the CRM it may be about."""

import pytest

from m3sync_dagster.sync.account_link_types import AccountLink
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.refused_link import explain_refused_link
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster_tests.sync.conftest import mapping

LINK = AccountLink("Salesforce_Account__c")
LINKED_TO = "001000000000001AAA"
EXPLAINED = (
    "no (the link of this account: Salesforce_Account__c points to the Account 001000000000001AAA, "
    "by external mapping; Salesforce has no such record, or hides it from this user)"
)


@pytest.mark.parametrize(
    ("code", "fields", "link", "linked_to", "message"),
    [
        ("MALFORMED_ID", (), LINK, LINKED_TO, EXPLAINED),
        ("MALFORMED_ID", ("Code__c", LINK.field), LINK, LINKED_TO, EXPLAINED),
        ("MALFORMED_ID", ("Code__c",), LINK, LINKED_TO, "no"),
        ("MALFORMED_ID", (), LINK, None, "no"),
        ("MALFORMED_ID", (), None, None, "no"),
        ("DUPLICATE_VALUE", (), LINK, LINKED_TO, "no"),
    ],
    ids=["no field", "the link", "another field", "no value", "no link", "another code"],
)
def test_a_rejection_names_the_link_that_it_may_be_about(
    code: str,
    fields: tuple[str, ...],
    link: AccountLink | None,
    linked_to: str | None,
    message: str,
) -> None:
    built = mapping(options=EntityOptions(link=link))
    values = [linked_to if name == LINK.field else "x" for name in built.columns]
    rejected = Rejected("a", ErrorClass.PERMANENT, code, "no", fields)
    expected = Rejected("a", ErrorClass.PERMANENT, code, message, fields)
    assert explain_refused_link(built, rejected, values) == expected
