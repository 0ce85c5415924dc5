"""``m3sync check`` with m3ter's managed package, whose API names are not known."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import httpx
import pytest
import yaml

from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sandbox import salesforce
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

pytestmark = pytest.mark.slow

NS = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
TYPES = {
    FieldKind.NUMBER: "<type>Number</type><precision>18</precision><scale>6</scale>",
    FieldKind.INTEGER: "<type>Number</type><precision>18</precision><scale>0</scale>",
    FieldKind.BOOLEAN: "<type>Checkbox</type>",
    FieldKind.DATE: "<type>Date</type>",
    FieldKind.DATETIME: "<type>DateTime</type>",
}
CARRIED = ("account", "contract", "commitment", "balance")
LABELS = {"commitment": "m3 Prepayment"}
ID = (
    "<fullName>m3Id__c</fullName><label>m3 Id</label><type>Text</type><length>64</length>"
    "<externalId>true</externalId><unique>true</unique><caseSensitive>true</caseSensitive>"
)


READ_ONLY: dict[str, object] = {"createable": False, "updateable": False}


def unknown_package(folder: Path) -> Path:
    """Metadata of a package whose objects and fields have other names than ours."""
    for name in CARRIED:
        entity = ENTITIES[name]
        target = folder / "objects" / object_of(entity)
        (target / "fields").mkdir(parents=True)
        label = LABELS.get(name, f"m3 {entity.label}")
        titled = any(f.kind is FieldKind.TITLE for f in entity.fields)
        title = "<type>Text</type>" if titled else "<type>AutoNumber</type>"
        (target / f"{object_of(entity)}.object-meta.xml").write_text(
            f"<CustomObject {NS}><label>{label}</label><nameField><label>Name</label>{title}"
            "</nameField></CustomObject>"
        )
        fields = {"m3Id__c": ID} | dict(map(described, entity.fields))
        for full_name, body in fields.items():
            path = target / "fields" / f"{full_name}.field-meta.xml"
            if full_name != "Name":
                path.write_text(f"<CustomField {NS}>{body}</CustomField>")
    return folder


def object_of(entity: EntityType) -> str:
    return f"Entity_{entity.name[::-1]}__c"


def described(field: Field) -> tuple[str, str]:
    """A field with m3ter's name, or one that only its label identifies."""
    if field.kind is FieldKind.TITLE:
        return "Name", ""
    last = field.source.rsplit(".", 1)[-1]
    by_label = field.salesforce.startswith(("A", "C"))
    name = f"X{last[::-1]}__c" if by_label else f"{last}__c"
    label = field.salesforce.removesuffix("__c").replace("_", " ") if by_label else "?"
    kind = TYPES.get(field.kind, "<type>LongTextArea</type><length>131072</length>")
    if field.kind is FieldKind.LOOKUP:
        parent = object_of(ENTITIES[field.refers_to or ""])
        kind = f"<type>Lookup</type><referenceTo>{parent}</referenceTo>"
    return name, f"<fullName>{name}</fullName><label>{escape(label)}</label>{kind}"


@contextmanager
def org(monkeypatch: pytest.MonkeyPatch, metadata: Path, prefix: str) -> Iterator[httpx.Client]:
    with (
        running(salesforce.create_app(metadata, prefix)) as url,
        httpx.Client(base_url=url) as client,
    ):
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        yield client


@pytest.fixture
def text(defs: Path) -> str:
    """The integration, for the managed package and without its prefix."""
    text = (DEFS / "acme" / "defs.yaml").read_text()
    text = text.replace("custom_objects", "m3ter_connector")
    write(defs, "acme", text)
    return text


def pasted(text: str, proposal: str) -> str:
    """The file with the proposal pasted over the attributes that it replaces."""
    kept = text[: text.index("  entities:")].replace("  namespace: m3ter_connector\n", "")
    return kept + proposal


def proposal_of(stage: Stage) -> str:
    answer = stage.run("check", "acme", "--json")
    assert answer.code == 2
    (found,) = [one for one in answer.json if "proposal" in one]
    assert found["check"] == "namespace"
    shown = stage.run("check", "acme").out
    assert found["proposal"] in shown
    return str(found["proposal"])


def read(proposal: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(proposal)
    return found


def assert_records(stage: Stage, client: httpx.Client, object_name: str, entity: str) -> None:
    records = client.get(f"/sandbox/records/{object_name}").json()
    assert len(records) == stage.sandbox.organization.count(f"{entity}s")


def test_a_package_with_our_names_under_a_prefix(
    stage: Stage, defs: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, salesforce.METADATA, "acmepkg") as client:
        refused = stage.run("run", "acme")
        assert refused.code == 2
        assert "m3sync check acme" in refused.err
        proposal = proposal_of(stage)
        assert "null" not in proposal.split("entities:")[1]
        assert read(proposal)["namespace_prefix"] == "acmepkg"
        write(defs, "acme", pasted(text, proposal))
        assert stage.run("check", "acme").code == 0
        answer = stage.run("run", "acme", "--json")
        assert answer.code == 0, answer.err
        for entity in CARRIED:
            assert_records(stage, client, f"acmepkg__{ENTITIES[entity].object}", entity)


def test_a_package_that_shares_no_name_with_us(
    stage: Stage, defs: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, unknown_package(tmp_path / "pkg"), "m3x") as client:
        proposal = proposal_of(stage)
        found = read(proposal)["entities"]
        for name in CARRIED:
            assert found[name]["object"] == f"m3x__{object_of(ENTITIES[name])}"
            assert found[name]["external_id_field"] == "m3x__m3Id__c"
            wanted = {f.source: described(f)[0] for f in ENTITIES[name].fields}
            assert found[name]["fields"] == {
                source: target if target == "Name" else f"m3x__{target}"
                for source, target in wanted.items()
            }
        write(defs, "acme", pasted(text, proposal))
        checked = stage.run("check", "acme", "--json")
        assert checked.code == 0, checked.out
        answer = stage.run("run", "acme", "--json")
        assert answer.code == 0, answer.err
        for entity in CARRIED:
            assert_records(stage, client, f"m3x__{object_of(ENTITIES[entity])}", entity)


def test_what_is_not_matched_is_said(
    stage: Stage, defs: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, salesforce.METADATA, "m3x") as client:
        for field, body in (("Code__c", {"remove": True}), ("Region__c", {"set": READ_ONLY})):
            change = {"object": "m3x__m3ter_Account__c", "field": f"m3x__{field}", **body}
            client.post("/sandbox/schema", json=change).raise_for_status()
        proposal = proposal_of(stage)
        fields = read(proposal)["entities"]["account"]["fields"]
        assert {source for source, target in fields.items() if target is None} == {
            "code",
            "address.region",
        }
        for reason in (
            r"code: null +# no field of m3x__m3ter_Account__c matches",
            r"address.region: null +# m3x__Region__c matches, but this user may not write it",
        ):
            assert re.search(reason, proposal)
        write(defs, "acme", pasted(text, proposal))
        assert stage.run("run", "acme").code == 0


def test_what_the_file_says_stays(
    stage: Stage, defs: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = """account:
      fields: {name: m3x__Code__c, code: null}
      custom_field_mappings: {tier: m3x__Region__c}
      constants: {m3x__Locality__c: here}
      truncate: [tier]
"""
    text = text.replace("account: {}\n", own.replace("[tier]", "[name]"))
    write(defs, "acme", text)
    with org(monkeypatch, salesforce.METADATA, "m3x"):
        account = read(proposal_of(stage))["entities"]["account"]
    assert account["fields"]["name"] == "m3x__Code__c"
    assert account["fields"]["code"] is None
    assert account["fields"]["address.region"] is None
    assert account["fields"]["address.locality"] is None
    assert account["custom_field_mappings"] == {"tier": "m3x__Region__c"}
    assert account["constants"] == {"m3x__Locality__c": "here"}
    assert account["truncate"] == ["name"]


def test_two_packages_and_no_telling(
    stage: Stage, text: str, monkeypatch: pytest.MonkeyPatch, defs: Path
) -> None:
    with org(monkeypatch, salesforce.METADATA, "m3x") as client:
        add = {"object": "m3y__Thing__c", "add": {"label": "m3 Account"}}
        client.post("/sandbox/schema", json=add).raise_for_status()
        both = [{"name": "m3ter Connector", "namespace": n} for n in ("m3x", "m3y")]
        client.post("/sandbox/setup", json={"packages": both}).raise_for_status()
        answer = stage.run("check", "acme", "--json")
        (found,) = [one for one in answer.json if one["check"] == "namespace"]
        assert answer.code == 2
        assert "m3ter Connector (m3x), m3ter Connector (m3y)" in found["message"]
        assert "namespace_prefix" in found["remedy"]
        assert "proposal" not in found
        both[1]["name"] = "m3ter Connector (Testing)"
        client.post("/sandbox/setup", json={"packages": both}).raise_for_status()
        assert read(proposal_of(stage))["namespace_prefix"] == "m3x"
        write(defs, "acme", text.replace("m3ter_connector", "m3ter_connector_testing"))
        assert read(proposal_of(stage))["namespace_prefix"] == "m3y"


def test_an_org_without_the_package(
    stage: Stage, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, salesforce.METADATA, ""):
        answer = stage.run("check", "acme", "--json")
        (found,) = [one for one in answer.json if one["check"] == "namespace"]
        assert answer.code == 2
        assert "no package with objects such as m3 Account" in found["message"]


def test_without_the_right_to_view_setup_the_objects_tell(
    stage: Stage, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, salesforce.METADATA, "m3x") as client:
        client.post("/sandbox/setup", json={"readable": False}).raise_for_status()
        assert read(proposal_of(stage))["namespace_prefix"] == "m3x"


def test_a_prefix_that_fits_but_an_object_that_does_not(
    stage: Stage, defs: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, unknown_package(tmp_path / "pkg"), "m3x"):
        named = text.replace("m3ter_connector\n", "m3ter_connector\n  namespace_prefix: m3x\n")
        write(defs, "acme", named)
        answer = stage.run("check", "acme", "--json")
        bad = [one["check"] for one in answer.json if not one["ok"]]
        assert bad == [*CARRIED, "namespace"]
        assert read(proposal_of(stage))["namespace_prefix"] == "m3x"


def test_two_objects_that_could_be_it(
    stage: Stage, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org(monkeypatch, unknown_package(tmp_path / "pkg"), "m3x") as client:
        add = {"object": "m3x__Also__c", "add": {"label": "m3 Account"}}
        client.post("/sandbox/schema", json=add).raise_for_status()
        proposal = proposal_of(stage)
        assert read(proposal)["entities"]["account"] == {"object": None}
        assert "several objects match: m3x__Also__c, m3x__Entity_tnuocca__c" in proposal
