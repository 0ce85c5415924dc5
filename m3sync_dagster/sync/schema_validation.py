"""Comparing the describe of an org's object with the mapping that writes to it.

Only properties that the describe contains are checked: one that it leaves out is not a finding.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from m3sync_dagster.entities import Field, FieldKind
from m3sync_dagster.sync.convert_by_field_type import rule_of
from m3sync_dagster.sync.converters import ConversionError, text
from m3sync_dagster.sync.link_validation import link_findings
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding
from m3sync_dagster.sync.type_compatibility import (
    ENCRYPTED,
    can_hold,
    can_hold_id,
    kind_in_words,
    size_warnings,
    takes_text,
)

CURRENCY_ISO_CODE = "CurrencyIsoCode"
"""The field that each record has in an org with several currencies, and in no other.

Source: Salesforce Help, "Manage Multiple Currencies".
"""

SYSTEM_FIELDS = frozenset(
    {
        "Id", "IsDeleted", "OwnerId", "CreatedDate", "CreatedById", "LastModifiedDate",
        "LastModifiedById", "SystemModstamp",
    }
)  # fmt: skip
"""The fields that Salesforce sets itself. Source: Object Reference, "System Fields"."""


def validate_schema(
    mapping: FieldMapping,
    described: SalesforceObject,
    existing: AbstractSet[str] | None = None,
) -> list[SchemaFinding]:
    """Find everything in the object that does not fit the mapping.

    Args:
        mapping: the fields to write.
        described: the describe of the object, as this user sees it.
        existing: API names of all custom fields of the object, visible to this user or not;
            ``None`` where that is not known.
    """
    return list(_SchemaValidation(mapping, described, existing).findings())


class _SchemaValidation:
    """The comparison of one mapping with one describe."""

    def __init__(
        self,
        mapping: FieldMapping,
        described: SalesforceObject,
        existing: AbstractSet[str] | None,
    ) -> None:
        self._mapping = mapping
        self._described = described
        self._existing = existing

    def findings(self) -> Iterator[SchemaFinding]:
        yield from self._object()
        yield from self._missing()
        yield from link_findings(self._mapping, self._described)
        yield from self._external_id()
        for source_field in self._mapping.fields:
            field = self._described.fields.get(source_field.salesforce)
            if field and source_field.kind is not FieldKind.LINK:
                yield from self._field(source_field, field)
        yield from self._constants()
        yield from self._checkboxes_if_empty()
        yield from self._rights()
        yield from self._required()
        yield from self._currency()

    def _finding(self, cause: str, remedy: str, *target: str, blocks: bool = True) -> SchemaFinding:
        """A finding about a Salesforce field, or about the entity as a whole."""
        where = self._mapping.written.get(target[0]) if target else None
        name = self._mapping.entity.name
        return SchemaFinding(name, cause, remedy, blocks, where or ("entities", name))

    def _object(self) -> Iterator[SchemaFinding]:
        lacking = [
            right
            for right, given in (
                ("create", self._described.createable or self._mapping.update_only),
                ("edit", self._described.updateable),
            )
            if not given
        ]
        if lacking:
            yield self._finding(
                f"this user may not {' or '.join(lacking)} records of {self._described.name}",
                "Give it that right on the object, for example by the permission set m3sync.",
            )

    def _missing(self) -> Iterator[SchemaFinding]:
        wanted = [self._mapping.external_id_field, *self._mapping.columns]
        if self._mapping.link:
            wanted.remove(self._mapping.link.field)
        missing = [name for name in wanted if name not in self._described.fields]
        if CURRENCY_ISO_CODE in missing:
            missing.remove(CURRENCY_ISO_CODE)
            yield self._finding(
                f"{self._described.name} has no field {CURRENCY_ISO_CODE}: "
                "only an org with several currencies has it",
                "Remove it from the mapping, or activate Multiple Currencies in the org.",
                CURRENCY_ISO_CODE,
            )
        yield from self._misspelled(missing)
        if self._existing is not None:
            yield from self._absent_or_hidden(missing, self._existing)
        elif missing:
            yield self._not_visible(missing)

    def _misspelled(self, missing: list[str]) -> Iterator[SchemaFinding]:
        """Remove from the missing names those that differ only in case from a field's name.

        Salesforce would accept them and answer with the field's own spelling, under which a
        value that is read back would not be found.
        """
        spelled = {name.casefold(): name for name in self._described.fields}
        for name in [one for one in missing if one.casefold() in spelled]:
            missing.remove(name)
            right = spelled[name.casefold()]
            yield self._finding(
                f"{self._described.name} has no field {name}; did you mean {right}?",
                f"Write {right}, with its capital and small letters, in the YAML.",
                name,
            )

    def _not_visible(self, missing: list[str]) -> SchemaFinding:
        return self._finding(
            f"the Salesforce object {self._described.name}, for {self._mapping.entity.name} "
            f"records, shows no field {', '.join(missing)} to this user; its rights do "
            "not allow to see whether the fields are missing or hidden by field-level security",
            "Deploy the fields, and give this user the permission set that makes them editable; "
            "or map them to other fields, or to null, under fields in the YAML.",
            missing[0],
        )

    def _absent_or_hidden(
        self, missing: list[str], existing: AbstractSet[str]
    ) -> Iterator[SchemaFinding]:
        hidden = [name for name in missing if name in existing]
        absent = [name for name in missing if name not in existing]
        object_name = self._described.name
        if absent:
            yield self._finding(
                f"the Salesforce object {object_name} has no field {', '.join(absent)}",
                "Add the fields in Salesforce (ours come with m3sync salesforce deploy), or map to "
                "other fields, or to null, under fields in the YAML.",
                absent[0],
            )
        if hidden:
            yield self._finding(
                f"field-level security hides {', '.join(hidden)} of {object_name} from this user",
                "Assign the permission set that makes them editable, for ours m3sync, to the "
                "integration user.",
                hidden[0],
            )

    def _external_id(self) -> Iterator[SchemaFinding]:
        name = self._mapping.external_id_field
        field = self._described.fields.get(name)
        if field is None:
            return
        place = f"{self._described.name}.{name}"
        if field.type == ENCRYPTED or field.filterable is False:
            yield self._finding(
                f"{place} is encrypted, or cannot be filtered by for another reason: records could "
                "not be found by it",
                "Name a text field that is not encrypted as external_id_field.",
                name,
            )
        elif not can_hold_id(field):
            definition = f"a {field.type} field of length {field.length or 'unknown'}"
            yield self._finding(
                f"{place} is {definition}, and cannot hold m3ter's ids of 36 characters",
                "Use a text field of 64 characters as external_id_field.",
                name,
            )
        if field.external_id is False:
            yield self._finding(
                f"{place} is not an External ID",
                "Set External ID on the field, or name another one as external_id_field.",
                name,
            )
        if field.unique is False:
            yield self._finding(
                f"{place} is not Unique, so that duplicate records are possible, "
                "and to upsert by it this user would need View All Data",
                "Set Unique, case-sensitive, on the field.",
                name,
            )
        if field.case_sensitive is False and field.unique is not False:
            yield self._finding(
                f"{place} treats ids that differ only in case as equal",
                "Set the field to treat ABC and abc as different values.",
                name,
                blocks=False,
            )

    def _field(self, source_field: Field, field: SalesforceField) -> Iterator[SchemaFinding]:
        place = f"{self._described.name}.{field.name}"
        if not can_hold(source_field.kind, field):
            yield self._finding(
                f"{place} is of type {field.type}, and {source_field.source} is "
                f"{kind_in_words(source_field.kind)}",
                "Map it to a field of another type, or to null, under fields in the YAML.",
                field.name,
            )
            return
        if source_field.kind is FieldKind.LOOKUP and field.type == "reference":
            yield from self._lookup(source_field, field)
        if field.type == ENCRYPTED:
            yield self._finding(
                f"{place} is encrypted: users without the permission View Encrypted Data read "
                "asterisks there, and m3sync verify would report every record as changed",
                "Give this user that permission, or map another field.",
                field.name,
                blocks=False,
            )
        if source_field.source in self._mapping.truncated:
            return
        for warning in size_warnings(source_field, field):
            yield self._finding(
                f"{place} {warning}: a longer value makes its row invalid",
                "Make the field longer; a text can also be cut, if truncate in the YAML names it.",
                field.name,
                blocks=False,
            )

    def _lookup(self, source_field: Field, field: SalesforceField) -> Iterator[SchemaFinding]:
        if not field.relationship:
            yield self._finding(
                f"the lookup {self._described.name}.{field.name} has no relationship name, and so "
                "cannot be set by an external ID",
                f"Map {source_field.source} to another field, or to null, in the YAML.",
                field.name,
            )
        wanted = self._mapping.parent_objects.get(source_field.refers_to or "")
        given = {name.casefold() for name in field.refers_to}
        if wanted and given and given != {wanted.casefold()}:
            yield self._finding(
                f"the lookup {self._described.name}.{field.name} points to "
                f"{', '.join(field.refers_to)}, and {source_field.source} to {wanted} alone",
                f"Map {source_field.source} to a lookup to {wanted}, or to null.",
                field.name,
            )

    def _constants(self) -> Iterator[SchemaFinding]:
        """A constant that does not fit would make every row invalid."""
        for name, value in self._mapping.constants.items():
            field = self._described.fields.get(name)
            if field is None:
                continue
            place = f"{self._described.name}.{name}"
            try:
                rule_of(field)(value, field)
            except ConversionError as problem:
                yield self._finding(
                    f"{place} does not accept the constant of every record: {problem}",
                    "Give it another value or another field in the YAML.",
                    name,
                )
                continue
            if takes_text(field) and not isinstance(value, str | None):
                written = text(value)  # other spellings were refused when the YAML was loaded
                yield self._finding(
                    f"{place} is a text field, and {written} without quotes in the YAML "
                    "is not a text",
                    f"Put it in quotes: '{written}'.",
                    name,
                )

    def _checkboxes_if_empty(self) -> Iterator[SchemaFinding]:
        for name in sorted(self._mapping.if_empty):
            field = self._described.fields.get(name)
            if field and field.type == "boolean":
                yield self._finding(
                    f"{self._described.name}.{name} is a checkbox, which is never empty, so that "
                    "overwrite: if_empty would never write it",
                    "Remove it from overwrite, or from the mapping.",
                    name,
                )

    def _rights(self) -> Iterator[SchemaFinding]:
        wanted = [self._mapping.external_id_field, *self._mapping.columns]
        fields = [self._described.fields[name] for name in wanted if name in self._described.fields]
        update_only = self._mapping.update_only
        locked = [f.name for f in fields if not (f.updateable and (f.createable or update_only))]
        if locked:
            yield self._finding(
                f"this user may read but not write {', '.join(locked)} of {self._described.name}",
                "Give it edit access by a permission set; a formula, auto number or roll-up "
                "cannot be written: map its source to another field, or to null.",
                locked[0],
            )

    def _required(self) -> Iterator[SchemaFinding]:
        """Source: Salesforce REST API Developer Guide, "sObject Describe", ``nillable``."""
        if self._mapping.update_only:
            return
        mapped = {self._mapping.external_id_field, *self._mapping.columns}
        required = [
            field.name
            for field in self._described.fields.values()
            if field.name not in mapped | SYSTEM_FIELDS
            and field.type != "boolean"
            and field.createable
            and not field.nillable
            and field.defaulted is False
        ]
        if required:
            yield self._finding(
                f"{self._described.name} requires {', '.join(required)}, which nothing is "
                "mapped to: Salesforce would refuse every new record",
                "Map an m3ter field to each under fields, give it a value under constants, or "
                "make it optional in the org.",
            )

    def _currency(self) -> Iterator[SchemaFinding]:
        columns = self._mapping.columns
        if CURRENCY_ISO_CODE in columns or CURRENCY_ISO_CODE not in self._described.fields:
            return
        amounts = [
            name
            for name in columns
            if (field := self._described.fields.get(name)) and field.type == "currency"
        ]
        if amounts:
            yield self._finding(
                f"this org has several currencies, and {', '.join(amounts)} of "
                f"{self._described.name} will be stored in this user's currency",
                f"Map currency to {CURRENCY_ISO_CODE} under fields, or use number fields.",
                amounts[0],
                blocks=False,
            )
