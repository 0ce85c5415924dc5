"""The UI in a real browser."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from m3sync_dagster_tests.live.conftest import Live
from m3sync_dagster_tests.live.test_graphql import ended, launch, measures

pytestmark = pytest.mark.slow

HOUR = "2026-11-23-10:00"
# A browser that sends requests only to the page that it shows.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def run_id(live: Live) -> str:
    run_id = launch(live, **{"dagster/partition": HOUR})
    ended(live, run_id)
    return run_id


def test_the_asset_page_shows_what_an_hour_did(page: Page, live: Live, run_id: str) -> None:
    page.goto(f"{live.url}/assets/acme/salesforce_account")
    expect(page.get_by_text("m3ter's Account records as Salesforce records")).to_be_visible()
    for words in ("m3ter", "Salesforce", "revenue-operations", "salesforce_sync"):
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
    expect(page.locator("a[href$='/schedules/acme_hourly']").first).to_be_visible()
    expect(page.locator(f"a[href^='/runs/{run_id}']").first).to_be_visible()
    assert_numbers(page, live, "salesforce_object")
    assert_no_secret(page, live)


def test_the_hour_shows_its_numbers(page: Page, live: Live, run_id: str) -> None:
    page.goto(f"{live.url}/assets/acme/salesforce_account?view=partitions&partition={HOUR}")
    expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
    assert_numbers(page, live)
    assert_no_secret(page, live)


def test_the_check_is_shown(page: Page, live: Live, run_id: str) -> None:
    page.goto(f"{live.url}/assets/acme/salesforce_account?view=checks")
    expect(page.get_by_text("no_rejected_records").first).to_be_visible()
    expect(page.get_by_text("No record is invalid, rejected by Salesforce").first).to_be_visible()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    assert_no_secret(page, live)


def test_the_lineage_goes_from_m3ter_to_salesforce(page: Page, live: Live, run_id: str) -> None:
    groups = ",".join(f"global@global:{group}" for group in ("acme", "m3ter_production"))
    page.goto(f"{live.url}/asset-groups?expanded={groups}")
    for node in ("m3ter_account", "salesforce_account"):
        expect(page.locator("svg").get_by_text(node, exact=True)).to_be_visible()
    assert_no_secret(page, live)


def test_the_run_shows_its_tags_and_its_log(page: Page, live: Live, run_id: str) -> None:
    page.goto(f"{live.url}/runs/{run_id}")
    expect(page.get_by_text("RUN_SUCCESS", exact=True)).to_be_visible()
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_text("m3sync/integration").first).to_be_visible()
    assert_no_secret(page, live)


def assert_numbers(page: Page, live: Live, *others: str) -> None:
    """Each number of the hour is in the row of its name."""
    shown = measures(live, "account", HOUR)
    assert shown["read"] == live.sandbox.organization.count("accounts")
    for label in ("read", "created", "updated", "unchanged", "rejected", "salesforce_api_calls"):
        row = page.get_by_role("row").filter(has=page.get_by_text(label, exact=True))
        expect(row.first).to_contain_text(str(shown[label]))
    for label in others:
        expect(page.get_by_text(label, exact=True).first).to_be_visible()


def assert_no_secret(page: Page, live: Live) -> None:
    seen = page.content()
    assert not [secret for secret in live.secrets if secret in seen]
