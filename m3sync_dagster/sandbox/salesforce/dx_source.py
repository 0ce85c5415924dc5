"""Reads objects and fields from a folder in Salesforce DX source format."""

from pathlib import Path
from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ObjectDef, Schema

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"


def read_schema(folder: Path, prefix: str = "") -> Schema:
    """Reads all objects of a Salesforce DX project.

    Source: Salesforce Metadata API guide, "CustomObject" and "CustomField".

    Args:
        folder: the folder that holds ``sfdx-project.json``.
        prefix: as for ``Schema``.

    Raises:
        FileNotFoundError: the folder has no object.
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
    added = add_object(schema, path.name.removesuffix(".object-meta.xml"), root)
    for source in sorted((path.parent / "fields").glob("*.field-meta.xml")):
        field = ET.parse(source).getroot()  # noqa: S314 - as above
        schema.add_field(added, read_field(schema, field))


def add_object(schema: Schema, full_name: str, root: ET.Element) -> ObjectDef:
    """Adds an object, without its custom fields, from its ``CustomObject`` element."""
    name = schema.qualify(full_name)
    label = text_of(root, "label", name)
    name_field = _name_field(root.find(f"{NAMESPACE}nameField"))
    return schema.add_object(name, label, text_of(root, "pluralLabel", label), name_field)


def read_field(schema: Schema, root: ET.Element) -> FieldDef:
    """A field from its ``CustomField`` element, or from the ``fields`` element of its object."""
    refers_to = text_of(root, "referenceTo")
    return FieldDef(
        name=schema.qualify(text_of(root, "fullName")),
        label=text_of(root, "label"),
        type=text_of(root, "type"),
        length=int(text_of(root, "length", "0")),
        precision=int(text_of(root, "precision", "0")),
        scale=int(text_of(root, "scale", "0")),
        required=_flag(root, "required"),
        unique=_flag(root, "unique"),
        external_id=_flag(root, "externalId"),
        case_sensitive=_flag(root, "caseSensitive"),
        refers_to=schema.qualify(refers_to) if refers_to else None,
        child_relationship=text_of(root, "relationshipName") or None,
        picklist=tuple(_picklist(root)),
        restricted=any(e.text == "true" for e in root.iter(f"{NAMESPACE}restricted")),
        help=text_of(root, "inlineHelpText") or None,
    )


def _name_field(element: ET.Element | None) -> FieldDef:
    """The object's ``Name``: a text, or an auto number."""
    automatic = element is not None and text_of(element, "type") == "AutoNumber"
    return FieldDef(
        "Name",
        "Name" if element is None else text_of(element, "label", "Name"),
        "AutoNumber" if automatic else "Text",
        length=80,
        display_format="" if element is None else text_of(element, "displayFormat"),
        createable=not automatic,
        updateable=not automatic,
        name_field=True,
    )


def _picklist(root: ET.Element) -> list[str]:
    path = "/".join(f"{NAMESPACE}{tag}" for tag in ("valueSet", "valueSetDefinition", "value"))
    return [text_of(value, "fullName") for value in root.findall(path)]


def field_elements(root: ET.Element) -> list[ET.Element]:
    """The ``fields`` elements of a ``CustomObject`` element."""
    return root.findall(f"{NAMESPACE}fields")


def text_of(element: ET.Element, tag: str, default: str = "") -> str:
    """The text of a child element; the default if there is none."""
    return element.findtext(f"{NAMESPACE}{tag}") or default


def _flag(element: ET.Element, tag: str) -> bool:
    return text_of(element, tag) == "true"
