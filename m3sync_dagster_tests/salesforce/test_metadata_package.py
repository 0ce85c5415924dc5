"""Our metadata in both formats, compared with the Salesforce CLI's conversion."""

import io
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.salesforce.metadata_package import (
    ACCOUNT_LINK,
    PERMISSION_SET,
    package,
    sfdx_files,
)

SCRIPT = Path(__file__).parents[2] / "docs" / "check_metadata.sh"
Statements = Counter[tuple[str, ...]]


def unpacked(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def statements(content: bytes) -> Statements:
    """The content of an XML file, independent of its order."""

    def each(element: ET.Element, path: tuple[str, ...]) -> Statements:
        here = (*path, element.tag.rpartition("}")[2])
        if element.tag.endswith("}fields"):
            here = (*here, element.findtext("{*}fullName") or "")
        inner = [each(child, here) for child in element]
        return sum(inner, Counter()) if inner else Counter([(*here, element.text or "")])

    return each(ET.fromstring(content), ())  # noqa: S314 - our own files


def test_a_package_has_a_file_for_each_object_and_names_them_all() -> None:
    files = unpacked(package(sfdx_files(list(ENTITIES))))
    objects = {entity.object for entity in ENTITIES.values()}
    assert set(files) == {
        "package.xml",
        f"permissionsets/{PERMISSION_SET}.permissionset",
        *(f"objects/{name}.object" for name in objects),
    }
    manifest = statements(files["package.xml"])
    named = {path[-1] for path in manifest if path[-2] == "members"}
    assert named == objects | {PERMISSION_SET}
    assert ("Package", "version", "67.0") in manifest
    for entity in ENTITIES.values():
        root = ET.fromstring(files[f"objects/{entity.object}.object"])  # noqa: S314 - our own
        fields = [element.findtext("{*}fullName") for element in root.findall("{*}fields")]
        wanted = {f.salesforce for f in entity.fields if f.salesforce != "Name"} | {"m3ter_Id__c"}
        assert Counter(fields) == Counter(wanted)


def test_the_lookup_to_account_comes_only_where_it_is_wanted() -> None:
    files = sfdx_files(list(ENTITIES), account_link=True)
    added = files.keys() - sfdx_files(list(ENTITIES)).keys()
    assert {path.rpartition("/")[2] for path in added} == {
        f"{ACCOUNT_LINK}.field-meta.xml",
        "m3sync_account_link.permissionset-meta.xml",
    }
    packed = unpacked(package(files))
    sets = {"m3sync", "m3sync_account_link"}
    named = {path[-1] for path in statements(packed["package.xml"]) if path[-2] == "members"}
    assert sets <= named
    assert {f"permissionsets/{name}.permissionset" for name in sets} <= packed.keys()
    root = ET.fromstring(packed["objects/m3ter_Account__c.object"])  # noqa: S314 - our own
    (lookup,) = [f for f in root.findall("{*}fields") if f.findtext("{*}fullName") == ACCOUNT_LINK]
    wanted = {"type": "Lookup", "referenceTo": "Account", "deleteConstraint": "SetNull"}
    assert {tag: lookup.findtext(f"{{*}}{tag}") for tag in wanted} == wanted
    assert lookup.findtext("{*}relationshipLabel") == "m3ter Accounts"
    assert ACCOUNT_LINK.encode() not in packed["permissionsets/m3sync.permissionset"]


def test_its_permission_set_allows_to_read_accounts_and_no_more() -> None:
    files = unpacked(package(sfdx_files(["account"], account_link=True)))
    granted = statements(files["permissionsets/m3sync_account_link.permissionset"])
    assert {path[2:] for path in granted if path[1] == "objectPermissions"} == {
        ("object", "Account"),
        ("allowRead", "true"),
        ("viewAllRecords", "true"),
        ("allowCreate", "false"),
        ("allowEdit", "false"),
        ("allowDelete", "false"),
        ("modifyAllRecords", "false"),
    }
    assert {path[2:] for path in granted if path[1] == "fieldPermissions"} == {
        ("field", f"m3ter_Account__c.{ACCOUNT_LINK}"),
        ("editable", "true"),
        ("readable", "true"),
    }


def test_without_accounts_there_is_no_lookup() -> None:
    assert sfdx_files(["contract"], account_link=True) == sfdx_files(["contract"])


def test_the_same_files_give_the_same_bytes() -> None:
    assert package(sfdx_files(["account"])) == package(sfdx_files(["account"]))


def node_is_new_enough() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    major = told.stdout.strip().removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= 22


@pytest.mark.slow
@pytest.mark.skipif(not node_is_new_enough(), reason="npm and Node.js 22 or newer are needed")
def test_the_salesforce_cli_makes_the_same_package(tmp_path: Path) -> None:
    subprocess.run([str(SCRIPT), str(tmp_path)], check=True, timeout=240)
    ours = unpacked(package(sfdx_files(list(ENTITIES))))
    for name, content in ours.items():
        theirs = (tmp_path / name).read_bytes()
        if name == "package.xml":
            # Theirs names each field beside its object.
            assert statements(content) <= statements(theirs)
        else:
            assert statements(content) == statements(theirs), name
