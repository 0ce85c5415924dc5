"""The pages that links to the org open."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE x; --",
    "javascript:alert(1)",
    "{title} {0} %s",
    "&lt;b&gt; Ø 😀",
)


def test_a_record_page_shows_every_field_and_links_to_the_parent(client: Client) -> None:
    (parent,) = client.upsert([{KEY: "a", "Name": "Acme", "Code__c": "ACME"}])
    (child,) = client.upsert(
        [{KEY: "b", "Name": "B", "Amount__c": 1.5, "m3ter_Account__r": {KEY: "a"}}], BALANCE
    )
    page = client.http.get(f"/lightning/r/{BALANCE}/{child['id']}/view")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<th>Amount__c</th><td>1.5</td>" in page.text
    link = f'<a href="/lightning/r/{ACCOUNT}/{parent["id"]}/view">'
    assert link in page.text
    above = client.http.get(f"/lightning/r/{ACCOUNT}/{parent['id']}/view").text
    assert "<h1>Acme</h1>" in above
    assert f'href="/lightning/o/{ACCOUNT}/list"' in above


def test_a_record_page_has_two_levels_of_related_lists(client: Client) -> None:
    (account,) = client.upsert([{KEY: "a", "Name": "Acme <b>"}])
    (below,) = client.upsert([{KEY: "b", "Name": "Child", "Parent_Account__r": {KEY: "a"}}])
    rows = [
        {KEY: f"c{n}", "Name": f"Balance {n}", "Amount__c": n, "m3ter_Account__r": {KEY: "b"}}
        for n in range(12)
    ]
    balances = client.upsert(rows, BALANCE)
    client.upsert([{KEY: "o", "Name": "Another account"}])
    client.upsert([{KEY: "d", "Name": "Another", "m3ter_Account__r": {KEY: "o"}}], BALANCE)
    page = client.http.get(f"/lightning/r/{ACCOUNT}/{account['id']}/view").text
    assert re.findall(r"<h2>(.+?)</h2>", page) == ["m3ter Accounts (1)", "m3ter Balances (12)"]
    links = re.findall(r'<li><a href="/lightning/r/\w+/(\w+)/view">', page)
    assert links == [below["id"], *(one["id"] for one in balances[:10])]
    assert "Balance 9</a> · 9</li><li>and 2 more</li>" in page
    page = client.http.get(f"/lightning/r/{BALANCE}/{balances[0]['id']}/view").text
    assert "<h2>" not in page


def test_a_field_that_was_added_later_is_empty(own_client: Client) -> None:
    (row,) = own_client.upsert([{KEY: "a", "Name": "Acme"}])
    field = {"object": ACCOUNT, "field": "New__c", "set": {"label": "New", "type": "Text"}}
    own_client.http.post("/sandbox/schema", json=field).raise_for_status()
    page = own_client.http.get(f"/lightning/r/{ACCOUNT}/{row['id']}/view")
    assert "<th>New__c</th><td></td>" in page.text


def test_a_list_view_links_to_the_newest_records(client: Client) -> None:
    rows = client.upsert([{KEY: f"a{n}", "Name": f"Name {n}"} for n in range(60)])
    page = client.http.get(f"/lightning/o/{ACCOUNT}/list").text
    assert "60 records, the newest 50 of them" in page
    found = re.findall(rf'href="/lightning/r/{ACCOUNT}/(\w+)/view">(Name \d+)<', page)
    expected = [(row["id"], f"Name {n}") for n, row in enumerate(rows)]
    assert found == expected[:9:-1]


@pytest.mark.parametrize("value", HOSTILE)
def test_values_are_text_and_never_markup(client: Client, value: str) -> None:
    (row,) = client.upsert([{KEY: "a", "Name": value, "Code__c": value}])
    child = {KEY: "b", "Name": value, "Code__c": value, "Parent_Account__r": {KEY: "a"}}
    client.upsert([child])
    for path in (f"r/{ACCOUNT}/{row['id']}/view", f"o/{ACCOUNT}/list"):
        page = client.http.get(f"/lightning/{path}")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert set(re.findall(r"<(\w+)", page.text)) <= {
            *("html", "head", "meta", "title", "style", "body", "h1", "p", "table", "tr", "th"),
            *("td", "a", "main", "section", "h2", "ul", "li"),
        }
        assert not re.search(r'href="(?!/lightning/)', page.text)
        assert value in unescape(page.text)


@pytest.mark.parametrize(
    "path",
    [
        "o/Nix__c/list",
        f"r/{ACCOUNT}/a00000000000001AAA/view",
        f"r/Nix__c/{quote('<script>', safe='')}/view",
    ],
)
def test_an_unknown_object_or_record_is_not_found(client: Client, path: str) -> None:
    page = client.http.get(f"/lightning/{path}")
    assert page.status_code == 404
    assert "Page not found" in page.text
    assert "<script" not in page.text


def test_a_page_needs_no_session_and_is_no_api_call(client: Client) -> None:
    before = client.http.get("/sandbox/calls").json()["total"]
    del client.http.headers["Authorization"]
    assert client.http.get(f"/lightning/o/{ACCOUNT}/list").status_code == 200
    assert client.http.get("/sandbox/calls").json()["total"] == before
