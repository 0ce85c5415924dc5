"""An org's object, as its describe tells it, held against the mapping that is to write it.

Only what a describe says is judged: a property that it leaves out is not known, and no fault.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from m3sync_dagster.entities import Field, FieldKind
from m3sync_dagster.sync.converters import ConversionError, text
from m3sync_dagster.sync.field_types import rule_of
from m3sync_dagster.sync.mapping import FieldMapping, where_mapped
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding
from m3sync_dagster.sync.type_compatibility import (
    ENCRYPTED,
    holds,
    holds_id,
    kind_in_words,
    shortfalls,
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
"""What Salesforce fills in by itself. Source: Object Reference, "System Fields"."""


def examine(
    mapping: FieldMapping,
    described: SalesforceObject,
    existing: AbstractSet[str] | None = None,
) -> list[SchemaFinding]:
    """Find everything at once that does not fit.

    Args:
        mapping: what is to be written.
        described: what this user sees of the object.
        existing: API names of the custom fields that the object has, seen by this user or not;
            ``None`` where that is not known.
    """
    return list(_Examination(mapping, described, existing).findings())


class _Examination:
    """One mapping against one describe."""

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
        yield from self._external_id()
        for carried in self._mapping.fields:
            if field := self._described.fields.get(carried.salesforce):
                yield from self._field(carried, field)
        yield from self._constants()
        yield from self._rights()
        yield from self._required()
        yield from self._currency()

    def _finding(self, cause: str, remedy: str, *target: str, blocks: bool = True) -> SchemaFinding:
        """A finding about a Salesforce field, or about the entity as a whole."""
        where = where_mapped(self._mapping, target[0]) if target else ()
        name = self._mapping.entity.name
        return SchemaFinding(name, cause, remedy, blocks, where or ("entities", name))

    def _object(self) -> Iterator[SchemaFinding]:
        lacking = [
            right
            for right, given in (
                ("create", self._described.createable),
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
        missing = [name for name in wanted if name not in self._described.fields]
        if CURRENCY_ISO_CODE in missing:
            missing.remove(CURRENCY_ISO_CODE)
            yield self._finding(
                f"{self._described.name} has no field {CURRENCY_ISO_CODE}: "
                "only an org with several currencies has it",
                "Take it out of the mapping, or switch Multiple Currencies on in the org.",
                CURRENCY_ISO_CODE,
            )
        yield from self._misspelled(missing)
        if missing and self._existing is None:
            yield self._shows_no(missing)
        elif missing:
            yield from self._told_apart(missing, self._existing or frozenset())

    def _misspelled(self, missing: list[str]) -> Iterator[SchemaFinding]:
        """Take out of the missing names those that differ from a field's in case alone.

        Salesforce would take them, and answer with the field's own spelling, by which a value
        that is read back would not be found.
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

    def _shows_no(self, missing: list[str]) -> SchemaFinding:
        return self._finding(
            f"the Salesforce object {self._described.name}, for {self._mapping.entity.name} "
            f"records, shows no field {', '.join(missing)} to this user; whether the fields are "
            "not there or hidden by field-level security cannot be told apart with its rights",
            "Deploy the fields, and give this user the permission set that makes them editable; "
            "or map them to other fields, or to null, under fields in the YAML.",
            missing[0],
        )

    def _told_apart(
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
        elif not holds_id(field):
            told = f"a {field.type} field of length {field.length or 'unknown'}"
            yield self._finding(
                f"{place} is {told}, and cannot hold m3ter's ids of 36 characters",
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
                f"{place} is not Unique, so that records could double, and to upsert by it this "
                "user would need View All Data",
                "Set Unique, case-sensitive, on the field.",
                name,
            )
        if field.case_sensitive is False and field.unique is not False:
            yield self._finding(
                f"{place} takes ids that differ in case alone for one",
                "Set the field to treat ABC and abc as different values.",
                name,
                blocks=False,
            )

    def _field(self, carried: Field, field: SalesforceField) -> Iterator[SchemaFinding]:
        place = f"{self._described.name}.{field.name}"
        if not holds(carried.kind, field):
            yield self._finding(
                f"{place} is of type {field.type}, and {carried.source} is "
                f"{kind_in_words(carried.kind)}",
                "Map it to a field of another type, or to null, under fields in the YAML.",
                field.name,
            )
            return
        if carried.kind is FieldKind.LOOKUP and field.type == "reference":
            yield from self._lookup(carried, field)
        if field.type == ENCRYPTED:
            yield self._finding(
                f"{place} is encrypted: users without the permission View Encrypted Data read "
                "asterisks there, and m3sync verify would take every record for changed",
                "Give this user that permission, or map another field.",
                field.name,
                blocks=False,
            )
        if carried.source in self._mapping.truncated:
            return
        for shortfall in shortfalls(carried, field):
            yield self._finding(
                f"{place} {shortfall}: a longer value makes its row invalid",
                "Make the field longer; a text can also be cut, if truncate in the YAML names it.",
                field.name,
                blocks=False,
            )

    def _lookup(self, carried: Field, field: SalesforceField) -> Iterator[SchemaFinding]:
        if not field.relationship:
            yield self._finding(
                f"the lookup {self._described.name}.{field.name} has no relationship name, and so "
                "cannot be set by an external ID",
                f"Map {carried.source} to another field, or to null, under fields in the YAML.",
                field.name,
            )
        wanted = self._mapping.parent_objects.get(carried.refers_to or "")
        given = {name.casefold() for name in field.refers_to}
        if wanted and given and given != {wanted.casefold()}:
            yield self._finding(
                f"the lookup {self._described.name}.{field.name} points to "
                f"{', '.join(field.refers_to)}, and {carried.source} to {wanted} alone",
                f"Map {carried.source} to a lookup to {wanted}, or to null.",
                field.name,
            )

    def _constants(self) -> Iterator[SchemaFinding]:
        """A fixed value that does not fit would make every row invalid."""
        for name, value in self._mapping.constants.items():
            field = self._described.fields.get(name)
            if field is None:
                continue
            place = f"{self._described.name}.{name}"
            try:
                rule_of(field)(value, field)
            except ConversionError as problem:
                yield self._finding(
                    f"{place} does not take the value that every record is to have there: "
                    f"{problem}",
                    "Give it another value or another field in the YAML.",
                    name,
                )
                continue
            if takes_text(field) and not isinstance(value, str | None):
                written = text(value)  # the loading has refused what is written otherwise
                yield self._finding(
                    f"{place} is a text, and the YAML has {written} without quotes, which is none",
                    f"Put it in quotes: '{written}'.",
                    name,
                )

    def _rights(self) -> Iterator[SchemaFinding]:
        wanted = [self._mapping.external_id_field, *self._mapping.columns]
        fields = [self._described.fields[name] for name in wanted if name in self._described.fields]
        locked = [f.name for f in fields if not (f.createable and f.updateable)]
        if locked:
            yield self._finding(
                f"this user may read but not write {', '.join(locked)} of {self._described.name}",
                "Give it edit access by a permission set; a formula, auto number or roll-up can "
                "never be written: map its source to another field, or to null.",
                locked[0],
            )

    def _required(self) -> Iterator[SchemaFinding]:
        """Source: Salesforce REST API Developer Guide, "sObject Describe", ``nillable``."""
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
                "Map an m3ter field to each under fields, give it a fixed value under constants, "
                "or make it optional in the org.",
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
                f"{self._described.name} will be taken in this user's own",
                f"Map currency to {CURRENCY_ISO_CODE} under fields, or use number fields.",
                amounts[0],
                blocks=False,
            )
