"""The filter expression and the history, in an org that shares no code with the sandbox."""

import re
from pathlib import Path

import pytest

from m3sync_dagster_tests.cli.check_paste_run import (
    entities_of,
    pasted,
    propose,
    run,
    serving,
    written,
)
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.independent_org.schema import CONSOLE

pytestmark = pytest.mark.slow

NAME = "m3x__Full_Name__c"


def test_only_accounts_that_match_go_there_and_each_record_has_its_history(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = stage.sandbox.organization
    gold, silver, later = organization.ids("accounts")[:3]
    tiers = dict.fromkeys(organization.ids("accounts"), "none") | {gold: "gold", silver: "silver"}
    for one, tier in tiers.items():
        changed = {"customFields": {"tier": tier}, "parentAccountId": None}
        organization.merge("accounts", one, changed)
    text = written("m3ter_connector").replace(
        "  entities:", "  account_filter: customFields.tier == gold OR name == 'Later'\n  entities:"
    )
    write(defs, "acme", text)
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    with serving(org, monkeypatch):
        proposal = propose(stage)
        write(defs, "acme", pasted(text, proposal))
        account, balance = (entities_of(proposal)[name] for name in ("account", "balance"))
        assert run(stage)["account"]["created"] == 1
        organization.change("accounts", gold, name="Müller 'AG'")
        organization.change("accounts", later, name="Later")
        counts = run(stage)["account"]
        assert (counts["created"], counts["updated"]) == (1, 1)
        records = org.rows.objects[account["object"]].records.values()
        held = {one[account["external_id_field"]]: one for one in records}
        assert held.keys() == {gold, later}
        owners = [
            organization.get("balances", i)["accountId"] for i in organization.ids("balances")
        ]
        sent = len(org.rows.objects[balance["object"]].records)
        assert sent == sum(owner in held for owner in owners)
        for given in (gold, held[gold]["Id"]):
            answer = stage.run("record", "acme", "account", given, "--json")
            assert answer.code == 0, answer.out
            newest, first = answer.json["history"]
            assert (first["action"], newest["action"]) == ("created", "updated")
            assert newest["changes"][NAME]["after"] == "Müller 'AG'" == held[gold][NAME]
            assert newest["salesforce_id"] == held[gold]["Id"]
        table = stage.run("record", "acme", "account", gold).out
        assert re.search(rf"{NAME}: .* -> Müller 'AG'", table)
