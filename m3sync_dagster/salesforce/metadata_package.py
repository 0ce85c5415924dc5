"""Our objects, fields and permission set, as Salesforce DX source and as a Metadata API package.

The files are in ``metadata``; an integration may need a part of them. A lookup to an object that
is not in the part is left out, and so is its permission. The lookup to Account is in
``account_link_metadata``, with a permission set of its own: it is added only where it is wanted.

Sources: Salesforce DX Developer Guide, "Salesforce DX Project Structure and Source Format";
Metadata API Developer Guide, "Sample package.xml Manifest Files", "CustomObject" and
"PermissionSet".
"""

import io
import json
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from m3sync_dagster.entities import ENTITIES

METADATA = Path(__file__).parent / "metadata"
ACCOUNT_LINK_METADATA = Path(__file__).parent / "account_link_metadata"
ACCOUNT_LINK = "Salesforce_Account__c"
"""API name of the lookup from our object of accounts to Account."""
PERMISSION_SET = "m3sync"
"""Name of the permission set that allows a user to write the objects."""

_URI = "http://soap.sforce.com/2006/04/metadata"
_NS = f"{{{_URI}}}"
_MAIN = PurePosixPath("force-app/main/default")
_PERMISSIONS = str(_MAIN / "permissionsets" / f"{PERMISSION_SET}.permissionset-meta.xml")
_EPOCH = (1980, 1, 1, 0, 0, 0)

Files = dict[str, bytes]
"""File contents by path, with ``/`` as separator."""


def sfdx_files(entities: Collection[str], *, account_link: bool = False) -> Files:
    """The SFDX project that some entities need; for all entities, the files unchanged.

    Args:
        entities: names of entity types, at least one.
        account_link: whether accounts get the lookup to Account; without accounts there is none.
    """
    added = _read(ACCOUNT_LINK_METADATA) if account_link and "account" in entities else {}
    return _part(entities) | added


def _part(entities: Collection[str]) -> Files:
    whole = _read(METADATA)
    objects = {ENTITIES[name].object for name in entities}
    if objects == {entity.object for entity in ENTITIES.values()}:
        return whole
    part = {path: content for path, content in whole.items() if _belongs(path, content, objects)}
    fields = {
        f"{_object_of(path)}.{_name_of(path)}" for path in part if path.endswith(".field-meta.xml")
    }
    return part | {_PERMISSIONS: _keep_permissions(whole[_PERMISSIONS], objects, fields)}


def _read(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def package(files: Files) -> bytes:
    """Make the zip for the Metadata API from an SFDX project.

    An object's fields are in the object's file. The same files give the same bytes.
    """
    objects = {
        _name_of(path): ET.fromstring(content)  # noqa: S314 - our own files
        for path, content in files.items()
        if path.endswith(".object-meta.xml")
    }
    for path, content in files.items():
        if path.endswith(".field-meta.xml"):
            field = ET.fromstring(content)  # noqa: S314 - our own files
            field.tag = f"{_NS}fields"
            objects[_object_of(path)].append(field)
    packed = {f"objects/{name}.object": _to_xml(root) for name, root in objects.items()}
    sets = {_name_of(path): path for path in files if path.endswith(".permissionset-meta.xml")}
    packed |= {f"permissionsets/{name}.permissionset": files[sets[name]] for name in sets}
    version = json.loads(files["sfdx-project.json"])["sourceApiVersion"]
    return _zip({"package.xml": _manifest(sorted(objects), sorted(sets), version), **packed})


def _belongs(path: str, content: bytes, objects: set[str]) -> bool:
    """Whether a file belongs to one of the objects, or to none, and is no lookup to another."""
    if "/objects/" not in path:
        return True
    target = ET.fromstring(content).findtext(f"{_NS}referenceTo")  # noqa: S314 - our own files
    return _object_of(path) in objects and (target is None or target in objects)


def _object_of(path: str) -> str:
    return PurePosixPath(path).parts[len(_MAIN.parts) + 1]


def _name_of(path: str) -> str:
    return PurePosixPath(path).name.split(".")[0]


def _keep_permissions(permissions: bytes, objects: set[str], fields: set[str]) -> bytes:
    root = ET.fromstring(permissions)  # noqa: S314 - our own file
    for grant in list(root):
        named = grant.findtext(f"{_NS}field") or grant.findtext(f"{_NS}object")
        if named and named not in fields | objects:
            root.remove(grant)
    return _to_xml(root)


def _manifest(objects: list[str], sets: list[str], version: str) -> bytes:
    root = ET.Element(f"{_NS}Package")
    for kind, members in (("CustomObject", objects), ("PermissionSet", sets)):
        types = ET.SubElement(root, f"{_NS}types")
        for member in members:
            ET.SubElement(types, f"{_NS}members").text = member
        ET.SubElement(types, f"{_NS}name").text = kind
    ET.SubElement(root, f"{_NS}version").text = version
    return _to_xml(root)


def _to_xml(root: ET.Element) -> bytes:
    """The XML of an element, with the metadata namespace as the default namespace."""
    ET.indent(root, "    ")
    body: bytes = ET.tostring(root, encoding="utf-8", default_namespace=_URI)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _zip(files: Files) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()
