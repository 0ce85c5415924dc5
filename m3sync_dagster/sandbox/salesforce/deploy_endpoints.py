"""``/metadata/deployRequest``: deploys of objects, fields and permission sets.

A deployed object or field is visible to the user only after its permission set is assigned; see
``control_endpoints.change_setup``. A deploy is validated when it is requested, and applied at the
second poll.

Source: Salesforce Metadata API guide, "Deploying Metadata with REST" and "DeployResult".
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.deploy_request import ComponentFailure, Deploy
from m3sync_dagster.sandbox.salesforce.dx_source import (
    NAMESPACE,
    add_object,
    field_elements,
    read_field,
    text_of,
)
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    as_object,
    json_response,
    loads,
    org_of,
    read_parts,
)
from m3sync_dagster.sandbox.salesforce.object_permissions import grant, withdraw
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.schema import ObjectDef

LONGEST_TEXT = 255
"""Characters of a ``Text`` field. Source: Salesforce Help, "Custom Field Types"."""

_OTHER_NAME = "entity_content"
"""How jsforce and the Salesforce CLI name the part ``json``."""


async def create(request: Request) -> Response:
    """``POST .../metadata/deployRequest``: multipart, with options and a zip of metadata."""
    org = org_of(request)
    parts = read_parts(request.headers.get("content-type", ""), await request.body())
    request_part = parts.get("json") or parts.get(_OTHER_NAME)
    if request_part is None or "file" not in parts:
        raise ApiError(400, "MISSING_ARGUMENT", "The parts json and file are needed")
    options = as_object(as_object(loads(request_part)).get("deployOptions") or {})
    deploy = Deploy(org.new_id("0Af"), options)
    org.deploys[deploy.id] = deploy
    _read_archive(deploy, parts["file"])
    deploy.failures += _validate(org, deploy)
    return json_response(
        {"id": deploy.id, "deployOptions": options, "deployResult": deploy.as_json()}, 201
    )


async def info(request: Request) -> Response:
    """``GET .../metadata/deployRequest/{id}``: its progress; the second poll ends it."""
    org = org_of(request)
    deploy = org.deploys.get(request.path_params["id"])
    if deploy is None:
        raise not_found()
    deploy.polls += 1
    if deploy.polls == 2 and not deploy.failures and not deploy.options.get("checkOnly"):
        _apply(org, deploy)
    return json_response({"id": deploy.id, "deployResult": deploy.as_json()})


def _read_archive(deploy: Deploy, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Salesforce's CLI adds an entry for each folder, whose name ends with a slash.
            names = [name for name in archive.namelist() if not name.endswith("/")]
            files = {name: archive.read(name) for name in names}
    except zipfile.BadZipFile:
        files = {}
    package = files.pop("package.xml", None)
    if package is None:
        problem = "No package.xml found"
        deploy.failures.append(ComponentFailure("", "package.xml", "package.xml", problem))
        return
    _read_files(deploy, files)
    try:
        listed = ET.fromstring(package)  # noqa: S314 - from our own client
    except ET.ParseError as error:
        problem = f"Error parsing file: {error}"
        deploy.failures.append(ComponentFailure("", "package.xml", "package.xml", problem))
        return
    for kind, name in _members(listed):
        if kind in _FOLDERS and name not in getattr(deploy, _FOLDERS[kind]):
            problem = f"'{name}' of type {kind} was named in package.xml, but was not found"
            deploy.failures.append(ComponentFailure(kind, name, "package.xml", problem))


_FOLDERS = {"CustomObject": "objects", "PermissionSet": "permission_sets"}


def _read_files(deploy: Deploy, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        folder, _, file = path.partition("/")
        name = file.rpartition(".")[0]
        try:
            root = ET.fromstring(content)  # noqa: S314 - from our own client
        except ET.ParseError as error:
            deploy.failures.append(ComponentFailure("", name, path, f"Error parsing file: {error}"))
            continue
        if folder == "objects":
            deploy.objects[name] = root
        elif folder == "permissionsets":
            deploy.permission_sets[name] = root


def _members(package: ET.Element) -> Iterator[tuple[str, str]]:
    for types in package.findall(f"{NAMESPACE}types"):
        for member in types.findall(f"{NAMESPACE}members"):
            yield text_of(types, "name"), member.text or ""


def _validate(org: Org, deploy: Deploy) -> Iterator[ComponentFailure]:
    for name, root in deploy.objects.items():
        file = f"objects/{name}.object"
        existing = org.schema.existing(org.schema.qualify(name))
        if existing is None and not name.endswith("__c"):
            yield ComponentFailure("CustomObject", name, file, f"Entity '{name}' cannot be found")
        elif existing is None and not text_of(root, "label"):
            problem = "Must specify a non-empty label for the CustomObject"
            yield ComponentFailure("CustomObject", name, file, problem)
        for one in field_elements(root):
            if field_problem := _field_problem(org, deploy, existing, one):
                full_name = f"{name}.{text_of(one, 'fullName')}"
                yield ComponentFailure("CustomField", full_name, file, field_problem)
    for name, root in deploy.permission_sets.items():
        file = f"permissionsets/{name}.permissionset"
        for problem in _grant_problems(org, deploy, root):
            yield ComponentFailure("PermissionSet", name, file, problem)


def _field_problem(
    org: Org, deploy: Deploy, existing: ObjectDef | None, root: ET.Element
) -> str | None:
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
    before = existing.fields.get(org.schema.qualify(name)) if existing else None
    if before and before.type != kind:
        return f"Cannot update a field from a {before.type} to a {kind}"
    return None


def _grant_problems(org: Org, deploy: Deploy, root: ET.Element) -> Iterator[str]:
    for permissions in root.findall(f"{NAMESPACE}fieldPermissions"):
        object_name, _, name = text_of(permissions, "field").partition(".")
        deployed = {
            text_of(one, "fullName"): text_of(one, "required") == "true"
            for one in field_elements(deploy.objects.get(object_name, ET.Element("none")))
        }
        existing = org.schema.existing(org.schema.qualify(object_name))
        if name not in deployed and not (existing and org.schema.qualify(name) in existing.fields):
            yield f"In field: field - no CustomField named {object_name}.{name} found"
        elif deployed.get(name):
            yield f"You cannot deploy to a required field: {object_name}.{name}"


def _apply(org: Org, deploy: Deploy) -> None:
    """Adds the components; new ones are invisible until their permission set is assigned."""
    schema = org.schema
    for name, root in deploy.objects.items():
        existing = schema.existing(schema.qualify(name))
        if existing is None:
            existing = add_object(schema, name, root)
            withdraw(existing)
        for one in field_elements(root):
            read = read_field(schema, one)
            before = existing.fields.get(read.name)
            visible = before.visible if before else read.required
            schema.add_field(existing, replace(read, visible=visible))
    org.permission_sets |= deploy.permission_sets


def assign(org: Org, name: str) -> None:
    """Gives the sync user the permissions of a permission set.

    Raises:
        ApiError: no such permission set was deployed.
    """
    root = org.permission_sets.get(name)
    if root is None:
        raise not_found()
    schema = org.schema
    for permissions in root.findall(f"{NAMESPACE}objectPermissions"):
        existing = schema.existing(schema.qualify(text_of(permissions, "object")))
        if existing:
            grant(existing, permissions)
    for permissions in root.findall(f"{NAMESPACE}fieldPermissions"):
        object_name, _, field_name = text_of(permissions, "field").partition(".")
        owner = schema.existing(schema.qualify(object_name))
        granted = owner.fields.get(schema.qualify(field_name)) if owner else None
        if granted:
            granted.visible = text_of(permissions, "readable") == "true"
            granted.createable = granted.updateable = text_of(permissions, "editable") == "true"
    schema.touch()
