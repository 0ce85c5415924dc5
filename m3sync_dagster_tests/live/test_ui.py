"""The UI in a real browser, over five integrations: the pages that a newcomer opens."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.live.conftest import Live, until
from m3sync_dagster_tests.live.five_integrations import (
    BROKEN,
    DISABLED,
    FAILING,
    HEALTHY,
    UNCONNECTED,
    five_integrations,
)
from m3sync_dagster_tests.live.ui_pages import (
    PICTURES,
    browser_page,
    names_on,
    row_of,
    take_picture,
)

pytestmark = pytest.mark.slow

COUNTS = ("read", "created", "updated", "unchanged", "invalid", "rejected", "waiting")
STATE = """
query($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) { ... on Schedule {
  scheduleState { status } } } }
"""
NEWEST = """
query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(limit: 1) { runId metadataEntries { label
    ... on IntMetadataEntry { intValue } } } } } }
"""
OBSERVED = """
query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetObservations(limit: 1) { metadataEntries { label } } } } }
"""
FAILED = """
query($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}, limit: 1) { ... on Runs {
  results { runId } } } }
"""


@pytest.fixture(scope="module")
def live(
    postgres_server: str, dagster_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Servers over the five integrations."""
    with (
        new_database(postgres_server, dagster_template) as url,
        five_integrations(tmp_path_factory.mktemp("five"), url) as servers,
    ):
        yield servers


@pytest.fixture(scope="module")
def browser(live: Live) -> Iterator[Page]:
    """The browser, started after the servers: they cannot start beside Playwright's event loop."""
    with browser_page() as page:
        yield page


@pytest.fixture
def page(live: Live, browser: Page) -> Iterator[Page]:
    """The browser's page; no page that a test leaves open shows a secret."""
    yield browser
    seen = browser.content()
    assert not [secret for secret in live.secrets if secret in seen]


def newest(live: Live, integration: str) -> dict[str, int]:
    """The numbers of the accounts' newest materialization."""
    key = {"path": [integration, "salesforce_account"]}
    (found,) = live.ask(NEWEST, key=key)["assetOrError"]["assetMaterializations"]
    return {entry["label"]: entry.get("intValue") for entry in found["metadataEntries"]}


def says_the_state(live: Live, integration: str) -> bool:
    """Whether the guard has said in the accounts' newest observation what it did."""
    key = {"path": [integration, "salesforce_account"]}
    (found,) = live.ask(OBSERVED, key=key)["assetOrError"]["assetObservations"]
    return "state" in [entry["label"] for entry in found["metadataEntries"]]


def last_run(live: Live, integration: str) -> str:
    tags = [{"key": "m3sync/integration", "value": integration}]
    (run,) = live.ask(FAILED, tags=tags)["runsOrError"]["results"]
    return str(run["runId"])


def asset(live: Live, integration: str, query: str = "") -> str:
    return f"{live.url}/assets/{integration}/salesforce_account{query}"


def test_the_pictures_of_the_documents_are_up_to_date(
    page: Page, live: Live, tmp_path: Path
) -> None:
    page.goto(live.url)
    page.get_by_role("button", name="Hide navigation").click()
    for name, open_page in PICTURES.items():
        open_page(page, live.url, HEALTHY)
        page.wait_for_load_state("networkidle")
        take_picture(page, name, names_on(page), tmp_path)


def test_the_asset_page_shows_what_a_sync_did(page: Page, live: Live) -> None:
    page.goto(asset(live, HEALTHY))
    expect(page.get_by_text("m3ter's Account records as Salesforce records")).to_be_visible()
    for words in ("m3ter", "Salesforce", "salesforce_sync", "salesforce_object"):
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
    numbers = newest(live, HEALTHY)
    assert numbers["read"] == live.sandbox.organization.count("accounts")
    assert (numbers["updated"], numbers["invalid"]) == (1, 1)
    for label in (*COUNTS, "salesforce_api_calls"):
        expect(row_of(page, label)).to_contain_text(str(numbers[label]))


def test_rejects_are_shown_and_lead_to_the_record_in_salesforce(page: Page, live: Live) -> None:
    rejected = live.sandbox.organization.ids("accounts")[1]
    page.goto(asset(live, HEALTHY))
    expect(row_of(page, "rejects").get_by_text(rejected)).to_be_visible()
    held = live.sandbox.records("m3ter_Account__c")[rejected]
    org = live.sandbox.environment["SALESFORCE_LOGIN_URL"]
    link = f"{org}/lightning/r/m3ter_Account__c/{held['Id']}/view"
    expect(row_of(page, "rejects")).to_contain_text(link)
    page.goto(link)
    expect(page.get_by_text(rejected).first).to_be_visible()


def test_the_check_warns_of_the_invalid_record(page: Page, live: Live) -> None:
    page.goto(asset(live, HEALTHY, "?view=checks&checkDetail=no_rejected_records"))
    expect(page.get_by_text("no_rejected_records").first).to_be_visible()
    expect(page.get_by_text("No record is invalid, rejected by Salesforce").first).to_be_visible()
    expect(row_of(page, "invalid")).to_contain_text("1")


def test_the_source_in_the_lineage_shows_when_it_was_read(page: Page, live: Live) -> None:
    page.goto(f"{live.url}/assets/m3ter_production/m3ter_account")
    count = live.sandbox.organization.count("accounts")
    expect(row_of(page, "read")).to_contain_text(str(count))
    expect(row_of(page, "integration")).to_contain_text(HEALTHY)


def test_a_run_shows_its_counts_and_its_tags(page: Page, live: Live) -> None:
    page.goto(f"{live.url}/runs/{last_run(live, HEALTHY)}")
    expect(page.get_by_text("RUN_SUCCESS", exact=True)).to_be_visible()
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_text("m3sync/integration").first).to_be_visible()


def test_a_failed_run_shows_cause_remedy_and_links_without_a_stack_trace(
    page: Page, live: Live
) -> None:
    page.goto(f"{live.url}/runs/{last_run(live, FAILING)}")
    expect(page.get_by_text("RUN_FAILURE", exact=True)).to_be_visible()
    shown = page.get_by_text("m3sync.SyncFailure: globex, account: Salesforce refused the login")
    expect(shown.first).to_be_visible()
    expect(
        page.get_by_text("Check the client id, client secret and login URL").first
    ).to_be_visible()
    expect(page.locator("a[href='/assets/globex/salesforce_account']").first).to_be_attached()
    org = live.sandbox.environment["SALESFORCE_LOGIN_URL"]
    expect(page.locator(f"a[href='{org}']").first).to_be_attached()
    assert "Stack Trace" not in page.inner_text("body")


def test_the_schedules_show_which_integrations_run(page: Page, live: Live) -> None:
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "m3sync"}

    def stopped() -> bool:
        asked = {"scheduleName": f"{DISABLED}_hourly", **selector}
        state = live.ask(STATE, s=asked)["scheduleOrError"]["scheduleState"]
        return str(state["status"]) == "STOPPED"

    until(lambda: stopped() or None, "the guard's stop of the schedule")
    page.goto(f"{live.url}/automation")
    for name, running in {
        HEALTHY: True,
        FAILING: True,
        DISABLED: False,
        UNCONNECTED: False,
    }.items():
        row = page.locator("div[data-index]").filter(has_text=f"{name}_hourly")
        expect(row.get_by_role("checkbox").last).to_be_checked(checked=running)
    page.goto(f"{live.url}/locations/m3sync/schedules/{HEALTHY}_hourly")
    expect(page.get_by_text(f"Syncs {HEALTHY} every hour").first).to_be_visible()


def test_the_guard_says_what_is_disabled(page: Page, live: Live) -> None:
    page.goto(f"{live.url}/locations/m3sync/sensors/integration_guard")
    expect(page.get_by_text("Disables an integration after 10 failures").first).to_be_visible()
    page.get_by_text("0 runs requested").first.hover()
    expect(page.get_by_text(f"{DISABLED} is disabled since").first).to_be_visible()


def test_the_page_of_a_disabled_integration_says_since_when_and_why(page: Page, live: Live) -> None:
    until(lambda: says_the_state(live, DISABLED) or None, "the observation of the guard")
    page.goto(asset(live, DISABLED))
    expect(row_of(page, "state")).to_contain_text("disabled")
    expect(row_of(page, "failures_in_a_row")).to_contain_text("10")
    expect(row_of(page, "cause")).to_contain_text("Salesforce refused the login")
    expect(row_of(page, "remedy")).to_contain_text("Check the client id")


def test_an_integration_that_is_not_connected_says_so(page: Page, live: Live) -> None:
    page.goto(f"{live.url}/assets")
    text = f"NOT CONNECTED: run `m3sync connect {UNCONNECTED} CREDENTIAL`"
    expect(page.get_by_text(text)).to_be_visible()
    page.goto(asset(live, UNCONNECTED))
    expect(page.get_by_text("NOT CONNECTED: run").first).to_be_visible()


def test_a_broken_file_is_shown_with_its_line(page: Page, live: Live) -> None:
    page.goto(f"{live.url}/assets/{BROKEN}/configuration_error")
    expect(page.get_by_text(f"{BROKEN} is not loaded.").first).to_be_visible()
    shown = page.locator("code").filter(has_text="attributes.namespace").first
    expect(shown).to_contain_text(re.compile(rf"{BROKEN}/defs\.yaml:6,\s"))


def test_a_person_materializes_an_asset(page: Page, live: Live) -> None:
    organization = live.sandbox.organization
    changed = organization.ids("accounts")[2]
    organization.change("accounts", changed, name="Changed before the click")
    before = last_run(live, HEALTHY)
    page.goto(asset(live, HEALTHY))
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest", exact=True).click()
    dialog.get_by_role("button", name="Launch").click()

    def launched() -> str | None:
        newest = last_run(live, HEALTHY)
        return newest if newest != before else None

    run_id = until(launched, "the run of the click")
    page.goto(f"{live.url}/runs/{run_id}")
    expect(page.get_by_text("RUN_SUCCESS", exact=True)).to_be_visible(timeout=PATIENCE * 1000)
    held = live.sandbox.records("m3ter_Account__c")[changed]
    assert held["Account_Name__c"] == "Changed before the click"
    assert newest(live, HEALTHY)["updated"] == 1
