"""What the demo's own integration shows, command by command."""

from collections import Counter
from collections.abc import Iterator

import pytest

from m3sync_dagster.sandbox.demo_servers import DEFS
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.admin import ACCOUNT, verified
from m3sync_dagster_tests.cli.conftest import Stage, staged

pytestmark = pytest.mark.slow

LOOKUP = "Salesforce_Account__c"
OUTCOMES = {"matched": 59, "none": 59, "ambiguous": 1, "malformed": 1}


@pytest.fixture
def demo(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(Organization.sample(), DEFS, migrated_url, monkeypatch) as found:
        yield found


def test_the_demo_links_accounts_and_says_which_have_no_link(demo: Stage) -> None:
    assert demo.run("check", "acme").code == 0
    planned = demo.run("plan", "acme", "--json").json["entities"]["account"]
    assert planned["links"] == OUTCOMES

    report = demo.run("run", "acme", "--json")
    assert (report.code, report.json["status"]) == (0, "COMPLETE")
    without_link = {name: one.get("without_link") for name, one in report.json["entities"].items()}
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
    assert verified(demo)[0] == 0

    second = demo.sandbox.organization.ids("accounts")[1]
    record = demo.run("record", "acme", "account", second, "--json").json
    assert record["state"] == "equal"
    assert record["salesforce"]["values"][LOOKUP] in crm
    assert demo.run("run", "acme").out.count("without link") == 1
