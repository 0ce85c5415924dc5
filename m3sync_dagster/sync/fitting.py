"""Whether a row's values fit the org's fields, as its describe tells them.

What fits is sent; what does not is an invalid row, found here before Salesforce is asked.
"""

from collections.abc import Callable
from decimal import Decimal

from m3sync_dagster.entities import Kind
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import INVALID_VALUE, Mapped, Mapping
from m3sync_dagster.sync.outcome import ErrorClass, Refused, Row, Value
from m3sync_dagster.sync.ports import Column, SalesforceField, SalesforceObject, Target
from m3sync_dagster.sync.values import Unfit, calendar_date, date_time, number, shown, text

_Fit = Callable[[Value, SalesforceField], Value]


class Fitter:
    """A mapping held against one org's object.

    Args:
        mapping: what should go there.
        described: what is there.

    Raises:
        ConfigurationError: fields are missing, or the external ID field is none.
    """

    def __init__(self, mapping: Mapping, described: SalesforceObject) -> None:
        _require_fields(mapping, described)
        self._fields = [described.fields[name] for name in mapping.columns]
        self._fits = [_FITS.get(f.type, _unchanged) for f in self._fields]
        self.target = Target(
            object=mapping.object_name,
            external_id_field=mapping.external_id_field,
            columns=tuple(self._columns(mapping)),
        )

    def fit(self, mapped: Mapped) -> Row | Refused:
        """Give the row to send, or every reason why it cannot be sent."""
        values: list[Value] = []
        problems = []
        for value, described, fit in zip(mapped.values, self._fields, self._fits, strict=True):
            try:
                values.append(fit(value, described))
            except Unfit as problem:
                problems.append((described.name, str(problem)))
        if problems:
            words = "; ".join(f"{name}: {problem}" for name, problem in problems)
            names = tuple(name for name, _ in problems)
            return Refused(mapped.m3ter_id, ErrorClass.INVALID, INVALID_VALUE, words, names)
        return Row(mapped.m3ter_id, values)

    def _columns(self, mapping: Mapping) -> list[Column]:
        """A lookup is set by external ID where the org's field is one, and is text elsewhere."""
        columns = [Column(f.name) for f in self._fields]
        for place, carried in enumerate(mapping.fields):
            described = self._fields[place]
            if carried.kind is Kind.LOOKUP and described.type == "reference" and carried.refers_to:
                columns[place] = Column(
                    described.name,
                    described.relationship,
                    mapping.parent_external_ids[carried.refers_to],
                )
        return columns


def _require_fields(mapping: Mapping, described: SalesforceObject) -> None:
    wanted = [mapping.external_id_field, *mapping.columns]
    missing = [name for name in wanted if name not in described.fields]
    if missing:
        raise ConfigurationError(
            f"the Salesforce object {described.name}, for {mapping.entity.name} records, "
            f"shows no field {', '.join(missing)} to this user",
            "Deploy the fields, and give this user the permission set that makes them editable; "
            "or map them to other fields, or to null, under fields in the YAML.",
            ("entities", mapping.entity.name),
        )


def _unchanged(value: Value, _described: SalesforceField) -> Value:
    return value


def _text(value: Value, described: SalesforceField) -> Value:
    if value is None:
        return None
    words = str(text(value) or "")
    if described.length and len(words) > described.length:
        raise Unfit(
            f"{shown(words)} is {len(words)} characters long, the field holds {described.length}"
        )
    return words or None


def _picklist(value: Value, described: SalesforceField) -> Value:
    words = _text(value, described)
    if words is not None and described.restricted and words not in described.picklist:
        raise Unfit(f"{shown(words)} is not a value of this restricted picklist")
    return words


def _number(value: Value, described: SalesforceField) -> Value:
    """Digits before the decimal point have to fit; of those after it, Salesforce keeps all.

    Source: Salesforce Help 000387302, on decimal places of numbers that come by the API.
    """
    if value is None:
        return None
    exact = Decimal(number(value))  # type: ignore[arg-type] # a converter gave int or Decimal
    if not described.precision:
        return exact
    room = described.precision - described.scale
    whole = max(0, exact.adjusted() + 1) if exact else 0
    if whole > room:
        raise Unfit(
            f"{shown(exact)} has {whole} digits before the decimal point, the field holds {room}"
        )
    return exact


def _checkbox(value: Value, _described: SalesforceField) -> Value:
    """A checkbox has no third state: nothing is not checked."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise Unfit(f"{shown(value)} is neither true nor false")


def _date(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else calendar_date(value)


def _datetime(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else date_time(value)


_FITS: dict[str, _Fit] = {
    "string": _text,
    "textarea": _text,
    "email": _text,
    "phone": _text,
    "url": _text,
    "picklist": _picklist,
    "combobox": _text,
    "multipicklist": _text,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "int": _number,
    "long": _number,
    "boolean": _checkbox,
    "date": _date,
    "datetime": _datetime,
}
"""Describe's field types; a type that is not listed takes what comes.

Source: Salesforce Object Reference, "Field Types".
"""
