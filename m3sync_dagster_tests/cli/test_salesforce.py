"""Metadata as files, and deployed to an org that has none of it."""

import os
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.entities import DEFAULT_ENTITIES, ENTITIES
from m3sync_dagster.salesforce.metadata_package import (
    ACCOUNT_LINK_METADATA,
    METADATA,
    sfdx_files,
)
from m3sync_dagster.sandbox import salesforce
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.conftest import Answer, Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.cli.processes import program
from m3sync_dagster_tests.live.conftest import until

pytestmark = pytest.mark.slow

OTHER = """<?xml version="1.0" encoding="UTF-8"?>
<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata"><label>Other</label></CustomObject>
"""


def run(*args: str) -> Answer:
    result = CliRunner().invoke(app, list(args))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_whole_project_is_what_we_ship(tmp_path: Path) -> None:
    named = [option for name in ENTITIES for option in ("--entity", name)]
    assert run("salesforce", "metadata", *named, "--out", str(tmp_path / "new")).code == 0
    assert files_in(tmp_path / "new") == files_in(METADATA)


def test_line_items_of_bills_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    assert run("salesforce", "metadata", "--out", str(tmp_path)).code == 0
    written = files_in(tmp_path)
    assert written.keys() == {path for path in files_in(METADATA) if "Line_Item__c" not in path}
    assert not [path for path, content in written.items() if b"Bill_Line_Item__c" in content]


def test_the_lookup_to_account_is_an_option(tmp_path: Path) -> None:
    assert run("salesforce", "metadata", "--account-link", "--out", str(tmp_path)).code == 0
    written = files_in(tmp_path)
    assert written == sfdx_files(DEFAULT_ENTITIES) | files_in(ACCOUNT_LINK_METADATA)


def test_it_goes_to_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("salesforce", "metadata").code == 0
    assert files_in(tmp_path / "salesforce") == sfdx_files(DEFAULT_ENTITIES)


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_part_refers_to_nothing_outside_of_it(tmp_path: Path, entity: str) -> None:
    assert run("salesforce", "metadata", "--out", str(tmp_path), "--entity", entity).code == 0
    object_name, fields = ENTITIES[entity].object, set()
    for path, content in files_in(tmp_path).items():
        if path.endswith(".xml"):
            root = ET.fromstring(content)  # noqa: S314 - our own file
            for element in root.iter():
                if element.tag.endswith("}referenceTo"):
                    assert element.text == object_name
        if path.endswith(".field-meta.xml"):
            fields.add(f"{object_name}.{Path(path).name.split('.')[0]}")
    (granted,) = (tmp_path / "force-app/main/default/permissionsets").iterdir()
    tree = ET.parse(granted)  # noqa: S314 - our own file
    named = {e.text for e in tree.iter() if e.tag.endswith("}field") and e.text}
    assert named == fields
    assert {e.text for e in tree.iter() if e.tag.endswith("}object")} == {object_name}
    outside = {f.salesforce for f in ENTITIES[entity].lookups if f.refers_to != entity}
    assert not any(name.partition(".")[2] in outside for name in fields)


def test_a_full_disk_leaves_no_part_of_the_project(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        answer = run("salesforce", "metadata", "--out", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 2
    assert "cannot be written (File too large)" in answer.err
    assert files_in(tmp_path) == {}
    assert run("salesforce", "metadata", "--out", str(tmp_path)).code == 0


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "sfdx-project.json").write_text("mine")
    answer = run("salesforce", "metadata", "--out", str(tmp_path))
    assert answer.code == 2
    assert "sfdx-project.json already exists" in answer.err
    assert files_in(tmp_path) == {"sfdx-project.json": b"mine"}


def test_an_entity_that_there_is_not(tmp_path: Path) -> None:
    answer = run("salesforce", "metadata", "--out", str(tmp_path), "--entity", "invoice")
    assert answer.code == 2
    assert "account" in answer.err


@pytest.fixture
def bare(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """An org without our objects, for the demo's integration."""
    write_object(tmp_path / "org", "Other__c")
    with (
        running(salesforce.create_app(tmp_path / "org")) as url,
        httpx.Client(base_url=url) as client,
    ):
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        yield client


def write_object(folder: Path, name: str) -> None:
    path = folder / "objects" / name / f"{name}.object-meta.xml"
    path.parent.mkdir(parents=True)
    path.write_text(OTHER)


def objects(client: httpx.Client) -> list[dict[str, str]]:
    """What the sync user sees."""
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["SALESFORCE_CLIENT_ID"],
        "client_secret": os.environ["SALESFORCE_CLIENT_SECRET"],
    }
    token = client.post("/services/oauth2/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    found: list[dict[str, str]] = client.get(
        "/services/data/v67.0/sobjects", headers=headers
    ).json()["sobjects"]
    return found


def test_from_an_empty_org_to_a_sync(stage: Stage, bare: httpx.Client) -> None:
    missing = stage.run("check", "acme", "--json")
    assert missing.code == 2
    assert "object m3ter_Account__c does not exist, or is hidden" in missing.out
    deployed = stage.run("salesforce", "deploy", "acme", "--json")
    assert deployed.code == 0, deployed.err
    result = deployed.json
    assert (result["status"], result["errors"], result["problems"]) == ("Succeeded", 0, [])
    assert result["components"] == result["deployed"] > 100
    # The permission set is assigned to no one, so the objects are not visible.
    assert [one["name"] for one in objects(bare)] == ["Other__c"]
    assert stage.run("check", "acme").code == 2
    bare.post("/sandbox/setup", json={"assign": "m3sync"}).raise_for_status()
    ready = stage.run("check", "acme", "--json")
    assert ready.code == 0, ready.out
    assert stage.run("run", "acme", "--json").code == 0
    held = bare.get("/sandbox/records/m3ter_Balance__c").json()
    assert len(held) == stage.sandbox.organization.count("balances")


def test_what_is_only_checked_changes_nothing(stage: Stage, bare: httpx.Client) -> None:
    answer = stage.run("salesforce", "deploy", "acme", "--check-only")
    assert answer.code == 0
    assert "could be deployed; nothing was changed" in answer.err
    assert bare.post("/sandbox/setup", json={"assign": "m3sync"}).status_code == 404


def test_a_part_is_deployed_and_then_the_rest(stage: Stage, bare: httpx.Client) -> None:
    assert stage.run("salesforce", "deploy", "acme", "--entity", "account").code == 0
    bare.post("/sandbox/setup", json={"assign": "m3sync"}).raise_for_status()
    assert [one["name"] for one in objects(bare)] == ["Other__c", "m3ter_Account__c"]
    assert stage.run("salesforce", "deploy", "salesforce_sandbox").code == 0
    # It was seen, and still is; the others are not.
    assert [one["name"] for one in objects(bare)] == ["Other__c", "m3ter_Account__c"]


def test_each_problem_is_reported_and_nothing_is_changed(stage: Stage, defs: Path) -> None:
    write(defs, "acme", (DEFS / "acme" / "defs.yaml").read_text())
    for field in ("Code__c", "Region__c"):
        change = {"object": "m3ter_Account__c", "field": field, "set": {"type": "Checkbox"}}
        stage.salesforce("schema", change)
    answer = stage.run("salesforce", "deploy", "acme", "--json")
    assert answer.code == 1
    assert answer.json["status"] == "Failed"
    assert {(p["component"], p["problem"]) for p in answer.json["problems"]} == {
        ("m3ter_Account__c.Code__c", "Cannot update a field from a Checkbox to a Text"),
        ("m3ter_Account__c.Region__c", "Cannot update a field from a Checkbox to a Text"),
    }
    shown = stage.run("salesforce", "deploy", "acme")
    assert "m3ter_Account__c.Code__c" in shown.out
    assert "Nothing was changed" in shown.err


def test_a_deploy_whose_answer_is_lost_is_not_sent_again(stage: Stage) -> None:
    path = "/services/data/v67.0/metadata/deployRequest"
    rule = {"path": path, "method": "POST", "drop": "after", "times": 1}
    stage.salesforce("faults", rule)
    answer = stage.run("salesforce", "deploy", "acme")
    assert answer.code == 1
    assert "The deploy may have started" in answer.err
    assert "Deployment Status" in answer.err
    url = f"{stage.sandbox.salesforce_url}/sandbox/calls"
    counts = httpx.get(url).json()["counts"]
    assert counts["POST /services/data/{version}/metadata/deployRequest"] == 1


def test_an_integration_of_the_managed_package_has_nothing_to_deploy(
    stage: Stage, defs: Path
) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text.replace("custom_objects", "m3ter_connector"))
    answer = stage.run("salesforce", "deploy", "acme")
    assert answer.code == 2
    assert "managed package" in answer.err


def test_ctrl_c_says_that_the_deploy_goes_on(stage: Stage) -> None:
    waits = {"id": "0Af", "deployResult": {"status": "InProgress"}}
    rule = {"path": "deployRequest/", "method": "GET", "status": 200, "body": waits, "times": None}
    stage.salesforce("faults", rule)
    with program("salesforce", "deploy", "acme", **os.environ) as running:
        url = f"{stage.sandbox.salesforce_url}/sandbox/calls"
        until(lambda: "deployRequest/{id}" in httpx.get(url).text, "a look at the deploy")
        code = running.stop(signal.SIGINT)
        line = running.wait_for("continues in Salesforce")
        assert code == 130
    assert re.search(
        "The deploy 0Af.{15} continues in Salesforce. Check Setup, Deployment Status", line
    )
