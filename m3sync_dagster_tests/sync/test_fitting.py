from decimal import Decimal

import pytest

from m3sync_dagster.entities import ENTITIES, Field, Kind
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.fitting import Fitter
from m3sync_dagster.sync.mapping import Mapped, Mapping
from m3sync_dagster.sync.outcome import ErrorClass, Refused, Row, Value
from m3sync_dagster.sync.ports import Column, SalesforceField, SalesforceObject
from m3sync_dagster.sync.scope import Scope


def fitter(field: SalesforceField, kind: Kind = Kind.ANY, refers_to: str | None = None) -> Fitter:
    mapping = Mapping(
        entity=ENTITIES["contract"],
        object_name="X__c",
        external_id_field="Ext__c",
        fields=(Field("source", field.name, kind, refers_to=refers_to),),
        constants={},
        parent_external_ids={"account": "Parent_Ext__c"},
        scope=Scope(),
    )
    fields = {"Ext__c": SalesforceField("Ext__c", "string"), field.name: field}
    return Fitter(mapping, SalesforceObject("X__c", "X", fields))


def fit(field: SalesforceField, value: Value) -> Row | Refused:
    return fitter(field).fit(Mapped("r1", [value], b""))


TEXT = SalesforceField("F__c", "string", length=5)
NUMBER = SalesforceField("F__c", "double", precision=6, scale=2)
PICKLIST = SalesforceField("F__c", "picklist", length=255, picklist=("A", "B"), restricted=True)
CHECKBOX = SalesforceField("F__c", "boolean", nillable=False)

FITS: list[tuple[SalesforceField, Value, Value]] = [
    (TEXT, "12345", "12345"),
    (TEXT, None, None),
    (TEXT, Decimal("1.50"), "1.50"),
    (TEXT, True, "true"),
    (SalesforceField("F__c", "string"), "x" * 999, "x" * 999),
    (NUMBER, Decimal("9999.99"), Decimal("9999.99")),
    (NUMBER, Decimal("-9999.99"), Decimal("-9999.99")),
    (NUMBER, Decimal("1.5000"), Decimal("1.5000")),
    (NUMBER, Decimal("1E+3"), Decimal("1E+3")),
    (NUMBER, 0, Decimal(0)),
    (NUMBER, "12.5", Decimal("12.5")),
    (NUMBER, Decimal("1.00512345"), Decimal("1.00512345")),
    (NUMBER, None, None),
    (SalesforceField("F__c", "double"), Decimal("1.23456789"), Decimal("1.23456789")),
    (PICKLIST, "A", "A"),
    (PICKLIST, None, None),
    (SalesforceField("F__c", "picklist", picklist=("A",)), "new", "new"),
    (CHECKBOX, True, True),
    (CHECKBOX, None, False),
    (SalesforceField("F__c", "date"), "2026-01-31", "2026-01-31"),
    (SalesforceField("F__c", "datetime"), "2026-01-31", "2026-01-31T00:00:00.000Z"),
    (SalesforceField("F__c", "a type of the future"), "x", "x"),
]


@pytest.mark.parametrize(("field", "value", "sent"), FITS)
def test_what_fits_the_field_is_sent(field: SalesforceField, value: Value, sent: Value) -> None:
    fitted = fit(field, value)
    assert isinstance(fitted, Row), fitted
    assert fitted.values == [sent]
    assert type(fitted.values[0]) is type(sent)


MISFITS: list[tuple[SalesforceField, Value, str]] = [
    (TEXT, "123456", "is 6 characters long, the field holds 5"),
    (NUMBER, Decimal(10000), "has 5 digits before the decimal point, the field holds 4"),
    (NUMBER, Decimal("1E+999999999"), "digits before the decimal point"),
    (NUMBER, "gold", "is not a number"),
    (NUMBER, True, "is not a number"),
    (PICKLIST, "C", "is not a value of this restricted picklist"),
    (CHECKBOX, "yes", "neither true nor false"),
    (SalesforceField("F__c", "date"), "2026-01-31T00:00:00.000Z", "is not a date"),
    (SalesforceField("F__c", "datetime"), "soon", "is not a date-time"),
]


@pytest.mark.parametrize(("field", "value", "reason"), MISFITS)
def test_what_does_not_fit_is_an_invalid_row(
    field: SalesforceField, value: Value, reason: str
) -> None:
    refused = fit(field, value)
    assert isinstance(refused, Refused), refused
    assert (refused.m3ter_id, refused.error_class) == ("r1", ErrorClass.INVALID)
    assert refused.fields == ("F__c",)
    assert f"F__c: {refused.message.removeprefix('F__c: ')}" == refused.message
    assert reason in refused.message


def test_a_lookup_is_set_by_external_id_where_the_field_is_one() -> None:
    reference = SalesforceField("P__c", "reference", relationship="P__r")
    linked = fitter(reference, Kind.LOOKUP, "account").target
    assert linked.columns == (Column("P__c", "P__r", "Parent_Ext__c"),)
    plain = fitter(SalesforceField("P__c", "string", length=64), Kind.LOOKUP, "account").target
    assert plain.columns == (Column("P__c"),)


def test_all_missing_fields_are_named_at_once() -> None:
    mapping = Mapping(
        entity=ENTITIES["contract"],
        object_name="X__c",
        external_id_field="Ext__c",
        fields=(Field("a", "A__c"), Field("b", "B__c")),
        constants={"C__c": "c"},
        parent_external_ids={},
        scope=Scope(),
    )
    described = SalesforceObject("X__c", "X", {"B__c": SalesforceField("B__c", "string")})
    with pytest.raises(ConfigurationError, match="shows no field Ext__c, A__c, C__c"):
        Fitter(mapping, described)
