"""Our objects, fields and permission set, as Salesforce DX source and as a Metadata API package.

The files are those in ``metadata``; a part of them is what some entities need. A lookup to an
object that is not in the part is left out, and so is the right to it.

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
PERMISSION_SET = "m3sync"
"""Name of the permission set that lets a user write the objects."""

_URI = "http://soap.sforce.com/2006/04/metadata"
_NS = f"{{{_URI}}}"
_MAIN = PurePosixPath("force-app/main/default")
_PERMISSIONS = str(_MAIN / "permissionsets" / f"{PERMISSION_SET}.permissionset-meta.xml")
_EPOCH = (1980, 1, 1, 0, 0, 0)

Files = dict[str, bytes]
"""Contents by path, with ``/`` between its parts."""


def source_files(entities: Collection[str]) -> Files:
    """Give the SFDX project that some entities need; with all of them, the files as they are.

    Args:
        entities: names of entity types, at least one.
    """
    whole = {
        path.relative_to(METADATA).as_posix(): path.read_bytes()
        for path in sorted(METADATA.rglob("*"))
        if path.is_file()
    }
    objects = {ENTITIES[name].object for name in entities}
    if objects == {entity.object for entity in ENTITIES.values()}:
        return whole
    part = {path: content for path, content in whole.items() if _belongs(path, content, objects)}
    fields = {
        f"{_object_of(path)}.{_name_of(path)}" for path in part if path.endswith(".field-meta.xml")
    }
    return part | {_PERMISSIONS: _reduced(whole[_PERMISSIONS], objects, fields)}


def package(files: Files) -> bytes:
    """Turn an SFDX project into the zip that the Metadata API deploys.

    Every object's fields go into its own file. The same files give the same bytes.
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
    packed = {f"objects/{name}.object": _written(root) for name, root in objects.items()}
    packed[f"permissionsets/{PERMISSION_SET}.permissionset"] = files[_PERMISSIONS]
    version = json.loads(files["sfdx-project.json"])["sourceApiVersion"]
    return _zipped({"package.xml": _manifest(sorted(objects), version), **packed})


def _belongs(path: str, content: bytes, objects: set[str]) -> bool:
    """Whether a file is of one of the objects, or of none; and no lookup out of them."""
    if "/objects/" not in path:
        return True
    target = ET.fromstring(content).findtext(f"{_NS}referenceTo")  # noqa: S314 - our own files
    return _object_of(path) in objects and (target is None or target in objects)


def _object_of(path: str) -> str:
    return PurePosixPath(path).parts[len(_MAIN.parts) + 1]


def _name_of(path: str) -> str:
    return PurePosixPath(path).name.split(".")[0]


def _reduced(permissions: bytes, objects: set[str], fields: set[str]) -> bytes:
    root = ET.fromstring(permissions)  # noqa: S314 - our own file
    for grant in list(root):
        named = grant.findtext(f"{_NS}field") or grant.findtext(f"{_NS}object")
        if named and named not in fields | objects:
            root.remove(grant)
    return _written(root)


def _manifest(objects: list[str], version: str) -> bytes:
    root = ET.Element(f"{_NS}Package")
    for kind, members in (("CustomObject", objects), ("PermissionSet", [PERMISSION_SET])):
        types = ET.SubElement(root, f"{_NS}types")
        for member in members:
            ET.SubElement(types, f"{_NS}members").text = member
        ET.SubElement(types, f"{_NS}name").text = kind
    ET.SubElement(root, f"{_NS}version").text = version
    return _written(root)


def _written(root: ET.Element) -> bytes:
    """The element with the metadata's namespace as the default one, as Salesforce writes it."""
    ET.indent(root, "    ")
    body: bytes = ET.tostring(root, encoding="utf-8", default_namespace=_URI)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _zipped(files: Files) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()
