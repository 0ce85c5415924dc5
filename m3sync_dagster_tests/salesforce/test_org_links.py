"""Links to an org's pages."""

import pytest

from m3sync_dagster.salesforce import OrgLinks, record_link
from m3sync_dagster.salesforce.login import Token

ORG = "https://acme.my.salesforce.com"
ID = "a00000000000001AAA"


def test_links_to_a_record_and_to_a_list_view() -> None:
    links = OrgLinks(ORG)
    assert links.record("m3ter_Account__c", ID) == f"{ORG}/lightning/r/m3ter_Account__c/{ID}/view"
    assert links.list_view("Account") == f"{ORG}/lightning/o/Account/list"


@pytest.mark.parametrize(
    "instance_url",
    [
        f"{ORG}/",
        "https://user:hush@acme.my.salesforce.com",
        "https://acme.my.salesforce.com?token=hush#hush",
    ],
)
def test_a_link_has_no_user_and_no_secret(instance_url: str) -> None:
    assert OrgLinks(instance_url).list_view("Account") == f"{ORG}/lightning/o/Account/list"


@pytest.mark.parametrize(
    ("salesforce_id", "written"),
    [
        ("../../secur/logout", "..%2F..%2Fsecur%2Flogout"),
        ("a?retURL=x#y", "a%3FretURL%3Dx%23y"),
        ('"><script>', "%22%3E%3Cscript%3E"),
        ("Ø \x1b]8", "%C3%98%20%1B%5D8"),
    ],
)
def test_ids_are_escaped(salesforce_id: str, written: str) -> None:
    assert OrgLinks(ORG).record("Account", salesforce_id) == (
        f"{ORG}/lightning/r/Account/{written}/view"
    )


@pytest.mark.parametrize("parts", [(None, "Account", ID), (ORG, None, ID), (ORG, "Account", None)])
def test_there_is_no_link_if_a_part_is_not_known(parts: tuple[str | None, ...]) -> None:
    assert record_link(*parts) is None
    assert record_link(ORG, "Account", ID) == f"{ORG}/lightning/r/Account/{ID}/view"


def test_the_address_of_an_org_is_stored_without_a_user() -> None:
    assert Token("t", "user:hush@acme.my.salesforce.com").browser_url == ORG
    assert Token("t", "127.0.0.1:8080").browser_url == "http://127.0.0.1:8080"
