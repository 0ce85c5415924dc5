"""An integration with a filter expression, against the sandbox."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT, BALANCE, CONTRACT, INTEGRATION, counts, verified
from m3sync_dagster_tests.cli.conftest import Stage, write

pytestmark = pytest.mark.slow

OBJECTS = {"accounts": ACCOUNT, "contracts": CONTRACT, "balances": BALANCE}
FILTER = "account_filter: address.country != GB AND customFields.tier == gold"


@pytest.fixture
def filtered(stage: Stage, defs: Path) -> Stage:
    """An organization whose accounts are all in scope, and the integration."""
    for account in stage.sandbox.organization.ids("accounts"):
        set_tier(stage, account, "gold")
    define(defs)
    return stage


def define(defs: Path, scope: str = FILTER, account: str = "{when_gone: delete}") -> None:
    write(defs, "acme", INTEGRATION.format(scope=scope, account=account, balance="{}"))


def set_tier(stage: Stage, account: str, tier: str) -> None:
    fields = {"customFields": {"tier": tier}, "address": {"country": "US"}}
    stage.sandbox.organization.merge("accounts", account, {**fields, "parentAccountId": None})


def of_accounts(stage: Stage, *accounts: str) -> dict[str, set[str]]:
    """The ids of the records that belong to these accounts, by m3ter's name of their type."""
    organization = stage.sandbox.organization
    field = {"accounts": "id", "contracts": "accountId", "balances": "accountId"}
    return {
        kind: {i for i in organization.ids(kind) if organization.get(kind, i)[name] in accounts}
        for kind, name in field.items()
    }


def in_salesforce(stage: Stage) -> dict[str, set[str]]:
    return {
        kind: {str(one["m3ter_Id__c"]) for one in stage.records(name)}
        for kind, name in OBJECTS.items()
    }


def ran(stage: Stage) -> dict[str, int]:
    """The counts of a run, over all entities, without those that are zero."""
    answer = stage.run("run", "acme", "--json")
    assert answer.code == 0, answer.err
    return dict(+sum((Counter(one) for one in answer.json["entities"].values()), Counter()))


def listed(stage: Stage) -> list[str]:
    """The lists that m3ter was asked for, by name."""
    url = f"{stage.sandbox.environment['M3TER_BASE_URL']}/sandbox/calls"
    paths = [call["path"] for call in httpx.get(url).json() if call["method"] == "GET"]
    return [path.rpartition("/")[2] for path in paths]


def owner_of_most(stage: Stage) -> str:
    """The account that most contracts belong to."""
    organization = stage.sandbox.organization
    owners = Counter(
        organization.get("contracts", i)["accountId"] for i in organization.ids("contracts")
    )
    return str(owners.most_common(1)[0][0])


def test_children_follow_their_account_in_and_out_of_scope(filtered: Stage) -> None:
    stage, organization = filtered, filtered.sandbox.organization
    moving = owner_of_most(stage)
    others = [one for one in organization.ids("accounts") if one != moving]
    set_tier(stage, moving, "tin")
    inside, outside = of_accounts(stage, *others), of_accounts(stage, moving)
    planned = stage.run("plan", "acme", "--json").json["entities"]
    assert [one["create"] for one in planned.values()] == [len(ids) for ids in inside.values()]
    ran(stage)
    assert in_salesforce(stage) == inside
    assert verified(stage)[0] == 0

    # An hour in which nothing has changed costs the login.
    calls = stage.calls()
    counted = ran(stage)
    assert counted.keys() <= {"read", "unchanged", "salesforce_api_calls"}
    assert counted["read"] == sum(map(len, inside.values()))
    assert stage.calls() == calls + 1

    set_tier(stage, moving, "gold")
    number = sum(map(len, outside.values()))
    planned = stage.run("plan", "acme", "--json").json["entities"]
    assert sum(one["create"] for one in planned.values()) == number
    assert ran(stage)["created"] == number
    everything = of_accounts(stage, moving, *others)
    assert in_salesforce(stage) == everything

    # Out of scope, it stays as it is: not updated, not deleted.
    set_tier(stage, moving, "tin")
    contract = next(iter(outside["contracts"]))
    organization.merge("contracts", contract, {"name": "Changed out of scope"})
    assert ran(stage).keys() <= {"read", "unchanged", "salesforce_api_calls"}
    code, result = verified(stage, "--repair", "--yes")
    assert (code, [counts(one) for one in result["entities"].values()]) == (0, [{}, {}, {}])
    assert in_salesforce(stage) == everything
    for entity, record in {"account": moving, "contract": contract}.items():
        answer = stage.run("record", "acme", entity, record, "--json")
        assert (answer.code, answer.json["state"]) == (0, "out_of_scope")
        answer = stage.run("plan", "acme", "--record", record)
        assert (answer.code, "account_filter" in answer.err) == (2, True)
    answer = stage.run("record", "acme", "account", others[0], "--json")
    assert answer.json["state"] == "equal"


def test_children_alone_need_the_accounts_too(filtered: Stage) -> None:
    organization = filtered.sandbox.organization
    moving = owner_of_most(filtered)
    set_tier(filtered, moving, "tin")
    others = [one for one in organization.ids("accounts") if one != moving]
    ran(filtered)
    organization.merge("accounts", moving, {"customFields": {"tier": "gold"}})
    before = listed(filtered)
    answer = filtered.run("run", "acme", "--entity", "contract", "--json")
    assert sorted(listed(filtered)[len(before) :]) == ["accounts", "contracts"]
    # Their account is not in Salesforce yet, as with a changed list of ids.
    waiting = len(of_accounts(filtered, moving)["contracts"])
    assert answer.json["entities"]["contract"]["waiting"] == waiting
    ran(filtered)
    assert in_salesforce(filtered) == of_accounts(filtered, moving, *others)


def test_what_was_deleted_in_m3ter_is_deleted_although_others_are_out_of_scope(
    filtered: Stage,
) -> None:
    organization = filtered.sandbox.organization
    ran(filtered)
    deleted = organization.add("accounts", customFields={"tier": "gold"}, address={"country": "US"})
    moved = organization.add("accounts", customFields={"tier": "gold"}, address={"country": "US"})
    ran(filtered)
    organization.remove("accounts", deleted)
    organization.merge("accounts", moved, {"address": {"country": "GB"}})
    _, result = verified(filtered, "--entity", "account", "--repair", "--yes")
    assert counts(result["entities"]["account"]) == {"extra": 1, "gone": 1}
    left = in_salesforce(filtered)["accounts"]
    assert (deleted in left, moved in left) == (False, True)


def test_a_wrong_expression_is_an_error_with_its_place(stage: Stage, defs: Path) -> None:
    define(defs, scope="account_filter: adress.country == US")
    line = (defs / "acme" / "defs.yaml").read_text().splitlines()
    number = next(n for n, text in enumerate(line, 1) if "account_filter" in text)
    for command in (["check", "acme"], ["run", "acme"], ["plan", "acme"]):
        answer = stage.run(*command)
        assert answer.code == 2
        shown = " ".join((answer.out + answer.err).split())
        assert "account_filter, column 1 of the expression: 'adress.country' is no field" in shown
        assert f"defs.yaml:{number}" in shown.replace(" ", "")
    define(defs, scope="account_filter: ''")
    assert "the expression ends too early" in " ".join(stage.run("check", "acme").err.split())
