import pytest

from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow

ACCOUNTS = "m3ter_Account__c"


def refuse(stage: Stage, m3ter_id: str) -> None:
    rows = {"object": ACCOUNTS, "external_ids": [m3ter_id], "code": "DUPLICATE_VALUE"}
    stage.salesforce("faults", {"rows": rows | {"message": "held by another"}, "times": None})


def run(stage: Stage) -> dict[str, int]:
    counts: dict[str, int] = stage.run("run", "acme", "--entity", "account", "--json").json[
        "entities"
    ]["account"]
    return {fate: number for fate, number in counts.items() if number}


@pytest.fixture
def leaf(stage: Stage) -> str:
    """An account that is no other's parent."""
    organization = stage.sandbox.organization
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", m3ter_id).get("parentAccountId") for m3ter_id in ids}
    return next(m3ter_id for m3ter_id in ids if m3ter_id not in parents)


def test_a_paused_reject_is_sent_again_after_retry(stage: Stage, leaf: str) -> None:
    refuse(stage, leaf)
    for _ in range(3):
        assert run(stage)["salesforce_api_calls"] > 1
    only_the_login = {"read": 6, "unchanged": 5, "rejected": 1, "salesforce_api_calls": 1}
    assert run(stage) == only_the_login
    assert stage.run("rejects", "--json").json[0]["attempts"] == 3

    shown = " ".join(stage.run("rejects", "acme").out.split())
    assert "remedy" in shown

    answer = stage.run("rejects", "retry", "acme")
    assert (answer.code, answer.out) == (0, "")
    assert "sends its 1 rejected rows again" in answer.err
    assert run(stage)["salesforce_api_calls"] > 1
    assert stage.run("rejects", "--json").json[0]["attempts"] == 4


def test_an_integration_that_is_not_there_has_nothing_to_retry(stage: Stage) -> None:
    answer = stage.run("rejects", "retry", "nix")
    assert answer.code == 2
    assert "no integration of the name nix" in answer.err
