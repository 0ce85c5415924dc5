"""What check proposes for unknown orgs in which some fields have no match."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from m3sync_dagster_tests.cli.check_paste_run import (
    entities_of,
    pasted,
    propose,
    run,
    sent,
    serving,
    written,
)
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.independent_org.schema import API, CONSOLE, OTHER, field_of

pytestmark = pytest.mark.slow


def unmatched_org() -> Org:
    """An org whose package lacks fields, or has fields that do not match."""
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    account = org.rows.objects["m3x__Account__c"].fields
    balance = org.rows.objects["m3x__Balance__c"].fields
    del account["m3x__City__c"]
    account["m3x__Zip__c"].locked = True
    account["m3x__Other_Land__c"] = field_of("m3x__Other_Land__c string(80) Country")
    account["m3x__Place__c"] = field_of("m3x__Place__c string(80) Where they sit")
    balance["m3x__Ends__c"].kind = "date"
    balance["m3x__Contract__c"].target = "Contract"
    del org.rows.objects["m3x__Contract__c"].fields["m3x__m3ter_Id__c"]
    return org


def test_what_cannot_be_matched_is_named_and_not_guessed(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written("m3ter_connector")
    write(defs, "acme", text)
    org = unmatched_org()
    with serving(org, monkeypatch):
        proposal = propose(stage)
        found = entities_of(proposal)
        nulls = {s for s, t in found["account"]["fields"].items() if t is None}
        assert nulls == {"address.locality", "address.postCode", "address.country"}
        assert found["contract"]["external_id_field"] is None
        lines = {
            "address.locality": "no field of m3x__Account__c matches",
            "address.postCode": "m3x__Zip__c matches, but this user may not write it",
            "address.country": "several fields match: m3x__Land__c, m3x__Other_Land__c",
            "endDate": "m3x__Ends__c matches, but it is of type date, and endDate is a date-time",
            "contractId": "m3x__Contract__c matches, but it points to Contract, "
            "and not to m3x__Contract__c, where contract records are expected",
            "external_id_field": "no field is a unique External ID",
        }
        for source, reason in lines.items():
            assert re.search(rf"\n +{source}: null +# {re.escape(reason)}\n", proposal), source
        assert '\n      #   m3x__Place__c "Where they sit"\n' in proposal
        assert proposal in stage.run("check", "acme").out
        # The user decides the rest: an id for contracts, or to leave them out.
        text = pasted(text, proposal)
        write(defs, "acme", text)
        assert stage.run("run", "acme").code == 2
        assert sent(org) == 0
        text = re.sub(r"(?ms)^    contract:\n.*?(?=^    commitment:)", "", text)
        write(defs, "acme", re.sub(r"contractId: m3x__\w+", "contractId: null", text))
        counts = run(stage)
        assert counts["balance"]["created"] == stage.sandbox.organization.count("balances")
    for one in org.rows.objects["m3x__Account__c"].records.values():
        assert not {"m3x__Zip__c", "m3x__Land__c", "m3x__Other_Land__c"} & one.keys()


def for_tests_alone(org: Org) -> None:
    org.install(CONSOLE, "m3t", "m3ter Connector (Testing)")


def twice(org: Org) -> None:
    org.install(CONSOLE, "m3x")
    org.install(API, "m3y")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "this user sees no package with objects such as m3 Account"),
        (lambda org: org.install(OTHER, "acme", "Acme"), "this user sees no package"),
        (
            for_tests_alone,
            "the org has only m3ter Connector (Testing) (m3t), a test package by its name",
        ),
        (twice, "it is not clear which one of a package (m3x), a package (m3y)"),
    ],
)
def test_no_package_is_taken_for_ours_without_need(
    stage: Stage,
    defs: Path,
    make: Callable[[Org], None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(defs, "acme", written("m3ter_connector"))
    org = Org()
    make(org)
    with serving(org, monkeypatch):
        answer = stage.run("check", "acme", "--json")
    (found,) = [one for one in answer.json if one["check"] == "namespace"]
    assert message in found["message"]
    assert "proposal" not in found


FILES = {
    "indented by four": """\
# ours
type: m3sync_dagster.SalesforceSync
attributes:
    name: acme
    m3ter_credential: m3ter_sandbox
    salesforce_credential: salesforce_sandbox  # the sandbox
    entities:
        account:
            restricted_account_ids: ["nobody's"]  # kept
            constants: {m3x__Note__c: "yes", m3x__Rank__c: "0012"}
            when_gone: flag
            gone_field: m3x__Gone__c
            fields: {name: m3x__Full_Name__c}
        balance:
            account_ids: []
""",
    "after a credential": """\
type: m3sync_dagster.M3terCredential
attributes:
  name: another
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_sandbox
  salesforce_credential: salesforce_sandbox
  namespace: m3ter_connector
  entities: {account: {constants: {m3x__Note__c: 'yes', m3x__Rank__c: '0012'}, when_gone: flag,
    gone_field: m3x__Gone__c, restricted_account_ids: ["nobody's"]}, balance: {account_ids: []}}
""",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_what_the_file_says_comes_back_as_it_is_written(
    stage: Stage, defs: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(defs, "acme", text)
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    fields = org.rows.objects["m3x__Account__c"].fields
    for line in ("Note__c string(80)", "Rank__c string(80)", "Gone__c boolean"):
        fields[f"m3x__{line.split()[0]}"] = field_of(f"m3x__{line} Locality")
    with serving(org, monkeypatch):
        proposal = propose(stage)
        # No integration carries contracts, so each balance of one would wait for it.
        path = "contractId: m3x__Contract__r.m3x__m3ter_Id__c"
        assert re.search(f"{path} +# its contract must be synced by another", proposal)
        proposal = proposal.replace(path, "contractId: null")
        new = pasted(text, proposal)
        write(defs, "acme", new)
        assert stage.run("check", "acme").code == 0, new
        counts = run(stage)
    before, now = (
        list(yaml.safe_load_all(one))[-1]["attributes"]["entities"]["account"]
        for one in (text, new)
    )
    assert now["fields"]["address.locality"] == "m3x__City__c"
    assert now | {"fields": None} == now | before | {"fields": None}
    assert ("# kept" in text) == ("# kept" in new)
    assert counts["account"]["created"] == stage.sandbox.organization.count("accounts")
    held = org.rows.objects["m3x__Account__c"].records.values()
    assert {(one["m3x__Note__c"], one["m3x__Rank__c"]) for one in held} == {("yes", "0012")}


def test_a_file_that_keeps_what_the_proposal_replaces(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written("m3ter_connector")
    path = write(defs, "acme", text)
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    with serving(org, monkeypatch):
        write(defs, "acme", text.replace("attributes:\n", f"attributes:\n{propose(stage)}"))
        answer = stage.run("check", "acme", "--json")
    assert answer.code == 2
    twice = r"namespace is in line \d+ and again in line"
    assert re.search(rf"{path}:\d+, attributes.namespace: {twice}", answer.err)
