"""``/metadata/deployRequest``: deploys of objects, fields and permission sets.

What is deployed is there, and nobody sees it until its permission set is assigned; see
``control.change_setup``. A deploy is checked when it comes in, and done at the second look.

Source: Salesforce Metadata API guide, "Deploying Metadata with REST" and "DeployResult".
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.dx_source import NAMESPACE, add_object, read_field, text_of
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import JsonObject, answer, loads, org_of, read_parts
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.schema import ObjectDef

LONGEST_TEXT = 255
"""Characters of a ``Text`` field. Source: Salesforce Help, "Custom Field Types"."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A component that cannot be deployed."""

    kind: str
    name: str
    file: str
    problem: str

    def as_json(self) -> JsonObject:
        """As ``DeployMessage`` tells of it."""
        return {
            "componentType": self.kind,
            "fullName": self.name,
            "fileName": self.file,
            "problem": self.problem,
            "problemType": "Error",
            "lineNumber": 1,
            "success": False,
        }


@dataclass(slots=True)
class Deploy:
    """One deploy.

    Args:
        id: its id.
        options: its ``deployOptions``.
        objects, permission_sets: its components by name.
        failures: what is wrong with them.
        looks: how often somebody has asked for it.
    """

    id: str
    options: JsonObject
    objects: dict[str, ET.Element] = field(default_factory=dict)
    permission_sets: dict[str, ET.Element] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    looks: int = 0

    @property
    def total(self) -> int:
        """Components: objects, their fields, permission sets."""
        fields = sum(len(list(_fields(root))) for root in self.objects.values())
        return len(self.objects) + fields + len(self.permission_sets)

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return self.looks > 1

    def as_json(self) -> JsonObject:
        """The ``deployResult``."""
        status = "Failed" if self.failures else "Succeeded"
        return {
            "id": self.id,
            "status": status if self.done else "InProgress" if self.looks else "Pending",
            "done": self.done,
            "success": self.done and not self.failures,
            "checkOnly": bool(self.options.get("checkOnly")),
            "numberComponentsTotal": self.total,
            "numberComponentsDeployed": self.total - len(self.failures) if self.done else 0,
            "numberComponentErrors": len(self.failures) if self.done else 0,
            "details": {
                "componentFailures": [f.as_json() for f in self.failures] if self.done else []
            },
        }


async def create(request: Request) -> Response:
    """``POST .../metadata/deployRequest``: multipart, the options and a zip of metadata."""
    org = org_of(request)
    parts = read_parts(request.headers.get("content-type", ""), await request.body())
    if not {"json", "file"} <= parts.keys():
        raise ApiError(400, "MISSING_ARGUMENT", "The parts json and file are needed")
    options: Any = loads(parts["json"]).get("deployOptions") or {}
    deploy = Deploy(f"0Af{org.serial():012d}AAA", options)
    org.deploys[deploy.id] = deploy
    _read(deploy, parts["file"])
    deploy.failures += _faults(org, deploy)
    return answer(
        {"id": deploy.id, "deployOptions": options, "deployResult": deploy.as_json()}, 201
    )


async def info(request: Request) -> Response:
    """``GET .../metadata/deployRequest/{id}``: how far it is; the second look ends it."""
    org = org_of(request)
    deploy = org.deploys.get(request.path_params["id"])
    if deploy is None:
        raise not_found()
    deploy.looks += 1
    if deploy.looks == 2 and not deploy.failures and not deploy.options.get("checkOnly"):
        _apply(org, deploy)
    return answer({"id": deploy.id, "deployResult": deploy.as_json()})


def _read(deploy: Deploy, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:
        files = {}
    package = files.pop("package.xml", None)
    if package is None:
        problem = "No package.xml found"
        deploy.failures.append(Failure("", "package.xml", "package.xml", problem))
        return
    _read_files(deploy, files)
    for kind, name in _named(ET.fromstring(package)):  # noqa: S314 - from our own client
        if kind in _FOLDERS and name not in getattr(deploy, _FOLDERS[kind]):
            problem = f"'{name}' of type {kind} was named in package.xml, but was not found"
            deploy.failures.append(Failure(kind, name, "package.xml", problem))


_FOLDERS = {"CustomObject": "objects", "PermissionSet": "permission_sets"}


def _read_files(deploy: Deploy, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        folder, _, file = path.partition("/")
        name = file.rpartition(".")[0]
        try:
            root = ET.fromstring(content)  # noqa: S314 - from our own client
        except ET.ParseError as error:
            deploy.failures.append(Failure("", name, path, f"Error parsing file: {error}"))
            continue
        if folder == "objects":
            deploy.objects[name] = root
        elif folder == "permissionsets":
            deploy.permission_sets[name] = root


def _named(package: ET.Element) -> Iterator[tuple[str, str]]:
    for types in package.findall(f"{NAMESPACE}types"):
        for member in types.findall(f"{NAMESPACE}members"):
            yield text_of(types, "name"), member.text or ""


def _fields(root: ET.Element) -> Iterator[ET.Element]:
    return iter(root.findall(f"{NAMESPACE}fields"))


def _faults(org: Org, deploy: Deploy) -> Iterator[Failure]:
    for name, root in deploy.objects.items():
        file = f"objects/{name}.object"
        held = org.schema.existing(org.schema.qualify(name))
        if held is None and not name.endswith("__c"):
            yield Failure("CustomObject", name, file, f"Entity '{name}' cannot be found")
        elif held is None and not text_of(root, "label"):
            problem = "Must specify a non-empty label for the CustomObject"
            yield Failure("CustomObject", name, file, problem)
        for one in _fields(root):
            if wrong := _field_fault(org, deploy, held, one):
                full_name = f"{name}.{text_of(one, 'fullName')}"
                yield Failure("CustomField", full_name, file, wrong)
    for name, root in deploy.permission_sets.items():
        file = f"permissionsets/{name}.permissionset"
        for fault in _grant_faults(org, deploy, root):
            yield Failure("PermissionSet", name, file, fault)


def _field_fault(org: Org, deploy: Deploy, held: ObjectDef | None, root: ET.Element) -> str | None:
    name, kind = text_of(root, "fullName"), text_of(root, "type")
    target = text_of(root, "referenceTo")
    if (
        target
        and target not in deploy.objects
        and not org.schema.existing(org.schema.qualify(target))
    ):
        return f"referenceTo value of '{target}' does not resolve to a valid sObject type"
    if kind == "Text" and not 0 < int(text_of(root, "length", "0")) <= LONGEST_TEXT:
        return f"Field length must be between 1 and {LONGEST_TEXT}"
    before = held.fields.get(org.schema.qualify(name)) if held else None
    if before and before.type != kind:
        return f"Cannot update a field from a {before.type} to a {kind}"
    return None


def _grant_faults(org: Org, deploy: Deploy, root: ET.Element) -> Iterator[str]:
    for grant in root.findall(f"{NAMESPACE}fieldPermissions"):
        object_name, _, name = text_of(grant, "field").partition(".")
        deployed = {
            text_of(one, "fullName"): text_of(one, "required") == "true"
            for one in _fields(deploy.objects.get(object_name, ET.Element("none")))
        }
        held = org.schema.existing(org.schema.qualify(object_name))
        if name not in deployed and not (held and org.schema.qualify(name) in held.fields):
            yield f"In field: field - no CustomField named {object_name}.{name} found"
        elif deployed.get(name):
            yield f"You cannot deploy to a required field: {object_name}.{name}"


def _apply(org: Org, deploy: Deploy) -> None:
    """Adds what is deployed; nobody sees what is new before its permission set is assigned."""
    schema = org.schema
    for name, root in deploy.objects.items():
        held = schema.existing(schema.qualify(name))
        if held is None:
            held = add_object(schema, name, root)
            held.shown = False
        for one in _fields(root):
            read = read_field(schema, one)
            before = held.fields.get(read.name)
            visible = before.visible if before else read.required
            schema.add_field(held, replace(read, visible=visible))
    org.permission_sets |= deploy.permission_sets


def assign(org: Org, name: str) -> None:
    """Gives the sync user what a permission set grants.

    Raises:
        ApiError: no such permission set was deployed.
    """
    root = org.permission_sets.get(name)
    if root is None:
        raise not_found()
    schema = org.schema
    for grant in root.findall(f"{NAMESPACE}objectPermissions"):
        held = schema.existing(schema.qualify(text_of(grant, "object")))
        if held and text_of(grant, "allowRead") == "true":
            held.shown = True
    for grant in root.findall(f"{NAMESPACE}fieldPermissions"):
        object_name, _, field_name = text_of(grant, "field").partition(".")
        owner = schema.existing(schema.qualify(object_name))
        granted = owner.fields.get(schema.qualify(field_name)) if owner else None
        if granted:
            granted.visible = text_of(grant, "readable") == "true"
            granted.createable = granted.updateable = text_of(grant, "editable") == "true"
    schema.touch()
