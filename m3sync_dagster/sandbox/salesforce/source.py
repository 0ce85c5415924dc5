"""Reads the org's objects and fields from a folder in Salesforce DX source format."""

from pathlib import Path
from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ObjectDef, Schema

_NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"


def read_schema(folder: Path, prefix: str = "") -> Schema:
    """Reads every object below a project's folder.

    Source: Salesforce Metadata API guide, "CustomObject" and "CustomField".

    Args:
        folder: the folder that holds ``sfdx-project.json``.
        prefix: as for ``Schema``.

    Raises:
        FileNotFoundError: there is no object in the folder.
    """
    schema = Schema(prefix)
    paths = sorted(folder.glob("**/objects/*/*.object-meta.xml"))
    if not paths:
        raise FileNotFoundError(f"There is no *.object-meta.xml below {folder}.")
    for path in paths:
        _add_object(schema, path)
    return schema


def _add_object(schema: Schema, path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - the project's own metadata
    name = schema.qualify(path.name.removesuffix(".object-meta.xml"))
    label = _text(root, "label", name)
    name_field = _name_field(root.find(f"{_NAMESPACE}nameField"))
    made = schema.add_object(name, label, _text(root, "pluralLabel", label), name_field)
    for source in sorted((path.parent / "fields").glob("*.field-meta.xml")):
        _add_field(schema, made, source)


def _add_field(schema: Schema, target: ObjectDef, path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - the project's own metadata
    refers_to = _text(root, "referenceTo")
    definition = FieldDef(
        name=schema.qualify(_text(root, "fullName")),
        label=_text(root, "label"),
        type=_text(root, "type"),
        length=int(_text(root, "length", "0")),
        precision=int(_text(root, "precision", "0")),
        scale=int(_text(root, "scale", "0")),
        required=_flag(root, "required"),
        unique=_flag(root, "unique"),
        external_id=_flag(root, "externalId"),
        case_sensitive=_flag(root, "caseSensitive"),
        refers_to=schema.qualify(refers_to) if refers_to else None,
        child_relationship=_text(root, "relationshipName") or None,
        picklist=tuple(_picklist(root)),
        restricted=any(e.text == "true" for e in root.iter(f"{_NAMESPACE}restricted")),
        help=_text(root, "inlineHelpText") or None,
    )
    schema.add_field(target, definition)


def _name_field(element: ET.Element | None) -> FieldDef:
    """The object's ``Name``: a text that people write, or a number that Salesforce counts."""
    automatic = element is not None and _text(element, "type") == "AutoNumber"
    return FieldDef(
        "Name",
        "Name" if element is None else _text(element, "label", "Name"),
        "AutoNumber" if automatic else "Text",
        length=80,
        display_format="" if element is None else _text(element, "displayFormat"),
        createable=not automatic,
        updateable=not automatic,
        name_field=True,
    )


def _picklist(root: ET.Element) -> list[str]:
    path = "/".join(f"{_NAMESPACE}{tag}" for tag in ("valueSet", "valueSetDefinition", "value"))
    return [_text(value, "fullName") for value in root.findall(path)]


def _text(element: ET.Element, tag: str, default: str = "") -> str:
    return element.findtext(f"{_NAMESPACE}{tag}") or default


def _flag(element: ET.Element, tag: str) -> bool:
    return _text(element, tag) == "true"
