"""What the demo's own integration shows, after its first sync."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from m3sync_dagster.sandbox.demo_servers import DEFS
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.admin import ACCOUNT, verified
from m3sync_dagster_tests.cli.conftest import Answer, Stage, staged
from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.live.ui_pages import KEPT, SHOWN, browser_page, take_picture

pytestmark = pytest.mark.slow

LOOKUP = "Salesforce_Account__c"
OUTCOMES = {"matched": 59, "none": 59, "ambiguous": 1, "malformed": 1}
PICTURE = "account"
"""The picture of an Account with its m3ter records."""


@pytest.fixture(scope="module")
def demo(postgres_server: str, migrated: str) -> Iterator[Stage]:
    with (
        new_database(postgres_server, migrated) as url,
        pytest.MonkeyPatch.context() as patch,
        staged(Organization.sample(), DEFS, url, patch) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def first_sync(demo: Stage) -> Answer:
    return demo.run("run", "acme", "--json")


def test_the_demo_links_accounts_and_says_which_have_no_link(
    demo: Stage, first_sync: Answer
) -> None:
    report = first_sync.json
    assert (first_sync.code, report["status"]) == (0, "COMPLETE")
    without_link = {name: one.get("without_link") for name, one in report["entities"].items()}
    assert without_link == {"account": 61, "contract": None, "commitment": None, "balance": None}
    crm = {one["Id"]: one["Name"] for one in demo.records("Account")}
    linked = Counter(one[LOOKUP] for one in demo.records(ACCOUNT))
    assert linked.pop(None) == 61
    assert linked.keys() == crm.keys()
    assert linked.total() == OUTCOMES["matched"]

    (event,) = demo.run("events", "acme", "--json").json
    assert event["name"] == "integration.missingaccountmapping.error"
    assert "61 of 120 accounts have no link to the Account" in event["message"]
    assert "120 read, 120 created, 61 without link" in demo.run("runs", "acme").out
    (run,) = demo.run("runs", "acme", "--json").json
    assert run["entities"]["account"]["without_link"] == 61
    assert demo.run("check", "acme").code == 0
    planned = demo.run("plan", "acme", "--json").json["entities"]["account"]
    assert planned["links"] == OUTCOMES
    assert verified(demo)[0] == 0

    second = demo.sandbox.organization.ids("accounts")[1]
    record = demo.run("record", "acme", "account", second, "--json").json
    assert record["state"] == "equal"
    assert record["salesforce"]["values"][LOOKUP] in crm
    assert demo.run("run", "acme").out.count("without link") == 1


@pytest.mark.usefixtures("first_sync")
def test_the_pictures_show_an_account_with_its_m3ter_records(demo: Stage, tmp_path: Path) -> None:
    crm_account = demo.records("Account")[2]
    with browser_page() as page:
        page.set_viewport_size({"width": 1100, "height": 560})
        page.goto(f"{demo.sandbox.salesforce_url}/lightning/r/Account/{crm_account['Id']}/view")
        expect(page.get_by_text("m3ter Accounts (6)")).to_be_visible()
        shown = set(page.locator("h1, h2, li > a").all_inner_texts())
        lists = {name.partition(" (")[0] for name in shown}
        assert lists > {"m3ter Contracts", "m3ter Commitments", "m3ter Balances"}
        # Salesforce numbers commitments in the order in which it gets them.
        names = sorted(name for name in shown if not name.startswith("M3C-"))
        take_picture(page, PICTURE, names, tmp_path)
    kept = json.loads((KEPT / SHOWN).read_text())
    assert {path.stem for path in KEPT.glob("*.png")} == kept.keys()
