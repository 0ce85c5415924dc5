"""Writes ``docs/fields.md``, the default Salesforce field of each m3ter field.

A test fails if the page is not what this writes.
"""

from pathlib import Path

from m3sync_dagster.entities import ENTITIES, EXTERNAL_ID, EntityType, Field, FieldKind

PAGE = Path(__file__).with_name("fields.md")

HEAD = """\
# Fields: from m3ter to Salesforce

These are the defaults, for the namespace `custom_objects`. `fields:` in an integration's YAML sends
a field to another Salesforce field, or leaves it out with `null`; `custom_field_mappings:` adds
m3ter's custom fields. Every object has the external ID field `{external_id}`, which holds m3ter's
`id`.

How values are sent:

- A value that is missing or null in m3ter clears the field. An empty text counts as no value. A
  checkbox without a value is not checked.
- Dates stay as they are; date-times are sent as UTC.
- Numbers keep all their digits, also decimals that the Salesforce field does not show. A number in
  Salesforce has 18 digits at most; one with more makes its row invalid, unless it is mapped to a
  text field.
- An array of plain values becomes one text, joined with `;`. Other arrays and objects, and every
  array that is not in the tables below, become compact JSON with sorted keys.
- `mask:` names Salesforce fields whose values are not stored in the
  [history of what was sent](history.md): `mask: [Email_Address__c]`. They are sent as usual.
- A text that is longer than its field makes its row invalid, unless `truncate:` names its m3ter
  field (`truncate: [description, customFields.notes]`). Then it is cut. A record name is always
  cut. A character outside the Basic Multilingual Plane, such as an emoji, counts as two, the most
  that Salesforce may count.
- A value that cannot be used makes its row invalid if its field is mapped, and has no effect
  otherwise. Such values are: half a surrogate pair, bytes that are not UTF-8, the character NUL, a
  number that no number field can hold, a key that is there twice, more than 100 levels of nesting.
- A lookup is set by the other record's external ID. An account whose parent account is left out of
  the integration is sent without that lookup.
- Line ends in texts become line feeds.

<!-- Written by docs/make_fields.py. -->
"""


def page() -> str:
    """Build the text of the page."""
    return HEAD.format(external_id=EXTERNAL_ID) + "".join(map(_section, ENTITIES.values()))


def _section(entity: EntityType) -> str:
    rows = "\n".join(_row(field) for field in entity.fields)
    return (
        f"\n## {entity.label}: `{entity.object}`\n\n"
        f"| m3ter | Salesforce | what it is |\n|---|---|---|\n{rows}\n"
    )


def _row(field: Field) -> str:
    source = " or ".join(f"`{s}`" for s in field.sources) or f"`{field.source}`"
    return f"| {source} | `{field.salesforce}` | {_description(field)} |"


def _description(field: Field) -> str:
    match field.kind:
        case FieldKind.TITLE:
            return f"the first that is not empty, cut to {field.length} characters"
        case FieldKind.LOOKUP:
            return f"lookup to `{ENTITIES[str(field.refers_to)].object}`"
        case FieldKind.NUMBER | FieldKind.INTEGER:
            return f"number, {field.precision - field.scale} digits and {field.scale} decimals"
        case FieldKind.LIST | FieldKind.JSON:
            form = "values joined with `;`" if field.kind is FieldKind.LIST else "JSON"
            return f"{form}, up to {field.length:,} characters"
        case FieldKind.TEXT:
            return f"text, up to {field.length:,} characters"
    return {FieldKind.BOOLEAN: "checkbox", FieldKind.DATE: "date", FieldKind.DATETIME: "date-time"}[
        field.kind
    ]


if __name__ == "__main__":
    PAGE.write_text(page())
