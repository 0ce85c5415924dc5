from pathlib import Path

import pytest

from m3sync_dagster_tests.cli.admin import identity_of
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS


def test_a_sound_integration_passes_every_check(stage: Stage) -> None:
    answer = stage.run("check", "--json")
    assert answer.code == 0
    assert [(found["check"], found["ok"]) for found in answer.json] == [
        ("configuration", True),
        ("m3ter", True),
        ("salesforce", True),
        ("account", True),
        ("contract", True),
        ("commitment", True),
        ("balance", True),
    ]
    keys = {"integration", "check", "ok", "message", "remedy"}
    assert all(set(f) - {"salesforce_org"} == keys for f in answer.json)
    assert "OK" in stage.run("check", "acme").out


def test_the_org_is_named(stage: Stage) -> None:
    answer = stage.run("check", "acme", "--json")
    (salesforce,) = [found for found in answer.json if found["check"] == "salesforce"]
    identity = identity_of(stage)
    assert salesforce["salesforce_org"] == identity
    assert [f["check"] for f in answer.json if "salesforce_org" in f] == ["salesforce"]
    org = f"m3sync sandbox ({identity['id']}, sandbox)"
    assert org in salesforce["message"]
    assert org in " ".join(stage.run("check", "acme").out.split())


def test_an_org_whose_name_cannot_be_read_is_named_by_its_id(stage: Stage) -> None:
    identity = identity_of(stage)
    body = [{"errorCode": "INVALID_TYPE", "message": "sObject type 'Organization' is not there"}]
    stage.salesforce("faults", {"method": "GET", "path": "/query", "status": 400, "body": body})
    answer = stage.run("check", "acme", "--json")
    (salesforce,) = [found for found in answer.json if found["check"] == "salesforce"]
    assert (answer.code, salesforce["ok"]) == (0, True)
    assert salesforce["salesforce_org"] == identity | {"name": None, "is_sandbox": None}


def test_a_user_who_may_not_read_the_limits_passes(stage: Stage) -> None:
    body = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "insufficient access rights"}]
    stage.salesforce("faults", {"method": "GET", "path": "/limits", "status": 403, "body": body})
    answer = stage.run("check", "acme", "--json")
    assert answer.code == 0
    (salesforce,) = [found for found in answer.json if found["check"] == "salesforce"]
    assert "this user may not see" in salesforce["message"]


def test_a_missing_field_is_a_matter_of_configuration(stage: Stage) -> None:
    change = {"object": "m3ter_Contract__c", "field": "Code__c", "remove": True}
    stage.salesforce("schema", change)
    answer = stage.run("check", "acme", "--json")
    (bad,) = [found for found in answer.json if not found["ok"]]
    assert (answer.code, bad["check"]) == (2, "contract")
    assert f"{DEFS}/acme/defs.yaml:11, attributes.entities.contract: " in bad["message"]
    assert "Code__c" in bad["message"]
    assert bad["remedy"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("M3TER_API_SECRET", None), ("m3ter", 2)),
        (("SALESFORCE_LOGIN_URL", "https://example.com"), ("salesforce", 2)),
        (("M3TER_API_SECRET", "not-it"), ("m3ter", 1)),
        (("SALESFORCE_CLIENT_SECRET", "not-it"), ("salesforce", 1)),
    ],
)
def test_a_credential_that_does_not_open(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, str | None],
    found: tuple[str, int],
) -> None:
    (variable, value), (check, code) = given, found
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    answer = stage.run("check", "acme", "--json")
    (bad,) = [one for one in answer.json if not one["ok"]]
    assert (answer.code, bad["check"]) == (code, check)
    assert "not-it" not in answer.out


def test_all_missing_variables_of_both_credentials_are_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {
        "m3ter": ("M3TER_ORG_ID", "M3TER_API_KEY", "M3TER_API_SECRET"),
        "salesforce": ("SALESFORCE_LOGIN_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"),
    }
    for name in (*needed["m3ter"], *needed["salesforce"]):
        monkeypatch.delenv(name)
    answer = stage.run("check", "acme", "--json")
    found = {one["check"]: one["message"] for one in answer.json if not one["ok"]}
    assert (answer.code, found.keys()) == (2, needed.keys())
    for check, names in needed.items():
        assert all(name in found[check] for name in names)


def test_check_does_not_send_people_to_itself(stage: Stage, defs: Path) -> None:
    """A run sends people to check; check does not."""
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text.replace("custom_objects", "m3ter_connector"))
    assert "Run m3sync check acme: it finds the package" in stage.run("run", "acme").err
    answer = stage.run("check", "acme", "--json")
    (configuration, *_, namespace) = answer.json
    assert "Use the mapping that this check proposes" in configuration["remedy"]
    assert "m3sync check" not in configuration["remedy"]
    assert "m3sync check acme --write" in namespace["remedy"]


def test_every_file_has_its_own_findings(stage: Stage, defs: Path) -> None:
    write(defs, "acme", (DEFS / "acme" / "defs.yaml").read_text())
    broken = write(defs, "broken", "type: m3sync_dagster.SalesforceSync\nattributes: {name: bad}\n")
    answer = stage.run("check", "--json")
    by_name = {(found["integration"], found["check"]): found for found in answer.json}
    assert answer.code == 2
    assert not by_name["bad", "configuration"]["ok"]
    assert str(broken) in by_name["bad", "configuration"]["message"]
    assert by_name["acme", "balance"]["ok"]


def test_integrations_that_share_a_credential_log_in_once(stage: Stage, defs: Path) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "one", text)
    write(defs, "two", text.replace("name: acme", "name: acme_two"))
    answer = stage.run("check", "--json")
    assert answer.code == 0
    # A token, the org, the limits, and four describes.
    assert stage.calls() <= 7


def test_one_that_is_not_connected(stage: Stage, defs: Path) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text.replace("  salesforce_credential: salesforce_sandbox\n", ""))
    answer = stage.run("check", "acme", "--json")
    assert answer.code == 2
    assert [found["check"] for found in answer.json] == ["configuration", "m3ter"]
    assert "NOT CONNECTED" in answer.json[0]["message"]
