"""The Salesforce metadata and the entity types must agree."""

import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from m3sync_dagster.entities import (
    ENTITIES,
    EXTERNAL_ID,
    M3TER_ID_LENGTH,
    EntityType,
    Field,
    FieldKind,
)

Properties = dict[str, str]

METADATA = Path(str(files("m3sync_dagster.salesforce"))) / "metadata"
SOURCE = METADATA / "force-app" / "main" / "default"
TEXTS = {FieldKind.TEXT, FieldKind.LIST, FieldKind.JSON}
FIELDS = [
    pytest.param(entity, field, id=f"{entity.name}.{field.salesforce}")
    for entity in ENTITIES.values()
    for field in entity.fields
    if field.kind is not FieldKind.TITLE
]
each_entity = pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)


def root_of(path: Path) -> ET.Element:
    root = ET.parse(path).getroot()  # noqa: S314 - our own files
    for element in root.iter():
        assert element.tag.startswith("{http://soap.sforce.com/2006/04/metadata}")
        element.tag = element.tag.split("}")[1]
    return root


def properties(element: ET.Element) -> Properties:
    return {child.tag: child.text or "" for child in element}


def objects_folder(entity: EntityType) -> Path:
    return SOURCE / "objects" / entity.object


def read_field(entity: EntityType, name: str) -> Properties:
    return properties(root_of(objects_folder(entity) / "fields" / f"{name}.field-meta.xml"))


def expected(field: Field) -> Properties:
    """The properties that determine which values a field accepts."""
    if field.kind in TEXTS and field.length <= 255:
        return {"type": "Text", "length": str(field.length)}
    if field.kind in TEXTS:
        return {"type": "LongTextArea", "length": str(field.length)}
    if field.kind in {FieldKind.NUMBER, FieldKind.INTEGER}:
        return {"type": "Number", "precision": str(field.precision), "scale": str(field.scale)}
    if field.kind is FieldKind.LOOKUP:
        parent = ENTITIES[field.refers_to or ""]
        return {"type": "Lookup", "referenceTo": parent.object, "deleteConstraint": "SetNull"}
    return {
        FieldKind.BOOLEAN: {"type": "Checkbox", "defaultValue": "false"},
        FieldKind.DATE: {"type": "Date"},
        FieldKind.DATETIME: {"type": "DateTime"},
    }[field.kind]


DECISIVE = ("type", "length", "precision", "scale", "referenceTo", "deleteConstraint")


@pytest.mark.parametrize(("entity", "field"), FIELDS)
def test_every_field_has_its_metadata(entity: EntityType, field: Field) -> None:
    found = read_field(entity, field.salesforce)

    assert found["fullName"] == field.salesforce
    decisive = (*DECISIVE, "defaultValue")
    assert {k: v for k, v in found.items() if k in decisive} == expected(field)
    for forbidden in ("required", "unique", "externalId"):
        assert found.get(forbidden, "false") == "false"
    assert f"m3ter {entity.label} field: {field.source}." in found["description"]
    assert field.source in found["inlineHelpText"]


@each_entity
def test_every_metadata_field_has_its_field(entity: EntityType) -> None:
    folder = objects_folder(entity) / "fields"
    names = {path.name.removesuffix(".field-meta.xml") for path in folder.iterdir()}

    mapped = {f.salesforce for f in entity.fields if f.kind is not FieldKind.TITLE}
    assert names == mapped | {EXTERNAL_ID}


def test_every_object_has_its_entity() -> None:
    folders = {path.name for path in (SOURCE / "objects").iterdir()}

    assert folders == {entity.object for entity in ENTITIES.values()}


@each_entity
def test_the_external_id_is_unique_and_matched_by_case(entity: EntityType) -> None:
    found = read_field(entity, EXTERNAL_ID)

    assert found["type"] == "Text"
    assert found["length"] == str(M3TER_ID_LENGTH)
    assert (found["externalId"], found["unique"], found["caseSensitive"]) == ("true",) * 3


@each_entity
def test_the_name_field_is_text_where_the_entity_has_a_title(entity: EntityType) -> None:
    root = root_of(objects_folder(entity) / f"{entity.object}.object-meta.xml")
    name = properties(root.find("nameField") or ET.Element("none"))

    titles = [f for f in entity.fields if f.kind is FieldKind.TITLE]
    if titles:
        assert [(f.salesforce, f.length) for f in titles] == [("Name", 80)]
        assert name["type"] == "Text"
    else:
        assert name["type"] == "AutoNumber"
        assert name["displayFormat"].endswith("{000000}")
    assert properties(root)["label"] == f"m3ter {entity.label}"
    assert properties(root)["pluralLabel"].startswith(f"m3ter {entity.label}")
    assert properties(root)["deploymentStatus"] == "Deployed"


def all_fields() -> Iterator[tuple[EntityType, Properties]]:
    for entity in ENTITIES.values():
        for path in sorted((objects_folder(entity) / "fields").iterdir()):
            yield entity, properties(root_of(path))


def test_labels_and_names_keep_to_salesforces_limits() -> None:
    for _, field in all_fields():
        assert 0 < len(field["label"]) <= 40
        assert len(field["fullName"].removesuffix("__c")) <= 40
        assert len(field["inlineHelpText"]) <= 510
        assert len(field["description"]) <= 1000


def test_labels_are_unique_within_an_object() -> None:
    labels = Counter((entity.name, field["label"]) for entity, field in all_fields())

    assert [key for key, count in labels.items() if count > 1] == []


def test_child_relationship_names_are_unique_on_each_parent() -> None:
    names = Counter(
        (field["referenceTo"], field["relationshipName"])
        for _, field in all_fields()
        if field["type"] == "Lookup"
    )

    assert [key for key, count in names.items() if count > 1] == []


def permissions(tag: str) -> list[Properties]:
    root = root_of(SOURCE / "permissionsets" / "m3sync.permissionset-meta.xml")
    return [properties(element) for element in root.findall(tag)]


def test_the_permission_set_opens_every_field_once() -> None:
    granted = permissions("fieldPermissions")

    wanted = {f"{entity.object}.{field['fullName']}" for entity, field in all_fields()}
    assert sorted(entry["field"] for entry in granted) == sorted(wanted)
    assert all(entry["editable"] == entry["readable"] == "true" for entry in granted)


def test_the_permission_set_reads_creates_and_edits_but_never_deletes() -> None:
    granted = {entry.pop("object"): entry for entry in permissions("objectPermissions")}

    assert granted == {
        entity.object: {
            "allowCreate": "true",
            "allowDelete": "false",
            "allowEdit": "true",
            "allowRead": "true",
            "modifyAllRecords": "false",
            "viewAllRecords": "true",
        }
        for entity in ENTITIES.values()
    }


def test_the_project_file_points_at_the_source() -> None:
    project = json.loads((METADATA / "sfdx-project.json").read_text(encoding="utf-8"))

    assert project["sourceApiVersion"] == "67.0"
    assert (METADATA / project["packageDirectories"][0]["path"]) == SOURCE.parents[1]
