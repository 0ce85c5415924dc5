"""Whether a row's values fit the org's fields, as its describe tells them.

What fits is sent; what does not is an invalid row, found here before Salesforce is asked.
"""

from collections.abc import Callable
from decimal import Decimal

from m3sync_dagster.entities import Kind
from m3sync_dagster.sync.examine import examine
from m3sync_dagster.sync.findings import require_none
from m3sync_dagster.sync.mapping import INVALID_VALUE, Mapped, Mapping
from m3sync_dagster.sync.outcome import ErrorClass, Refused, Row, Value
from m3sync_dagster.sync.ports import Column, SalesforceField, SalesforceObject, Target
from m3sync_dagster.sync.values import Unfit, calendar_date, date_time, integer, number, shown, text

_Fit = Callable[[Value, SalesforceField], Value]

BLANK = "".join(map(chr, range(0x21)))
"""What Salesforce takes off both ends of a text: spaces and control characters."""
EARLIEST, LATEST = "1700-01-01", "4000-12-31"
"""The days that Salesforce knows. Source: SOAP API Developer Guide, "Primitive Data Types"."""


class Fitter:
    """A mapping held against one org's object.

    Args:
        mapping: what should go there.
        described: what is there.

    Raises:
        MisfitError: they do not fit; every reason is in it.
    """

    def __init__(self, mapping: Mapping, described: SalesforceObject) -> None:
        require_none(examine(mapping, described))
        self._fields = [described.fields[name] for name in mapping.columns]
        self._fits = [_fit_of(f) for f in self._fields]
        self._cut = [
            place
            for place, (carried, field) in enumerate(
                zip(mapping.fields, self._fields[: len(mapping.fields)], strict=True)
            )
            if carried.source in mapping.truncated
            or (carried.kind is Kind.TITLE and field.length < carried.length)
        ]
        self.target = Target(
            object=mapping.object_name,
            external_id_field=mapping.external_id_field,
            columns=tuple(self._columns(mapping)),
        )

    def fit(self, mapped: Mapped) -> Row | Refused:
        """Give the row to send, or every reason why it cannot be sent."""
        values: list[Value] = []
        problems = []
        given = self._cut_short(mapped.values) if self._cut else mapped.values
        for value, described, fit in zip(given, self._fields, self._fits, strict=True):
            try:
                values.append(fit(value, described))
            except Unfit as problem:
                problems.append((described.name, str(problem)))
        if problems:
            words = "; ".join(f"{name}: {problem}" for name, problem in problems)
            names = tuple(name for name, _ in problems)
            return Refused(mapped.m3ter_id, ErrorClass.INVALID, INVALID_VALUE, words, names)
        return Row(mapped.m3ter_id, values)

    def _cut_short(self, values: list[Value]) -> list[Value]:
        """Cut the texts that the mapping lets be cut; a title is one always."""
        cut = list(values)
        for place in self._cut:
            value, length = cut[place], self._fields[place].length
            if isinstance(value, str) and length:
                cut[place] = value.strip(BLANK)[:length].rstrip(BLANK)
        return cut

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


def _fit_of(described: SalesforceField) -> _Fit:
    """The rule of a field's type; a required field also has to have a value."""
    fit = _FITS.get(described.type, _unchanged)
    if described.nillable or described.defaulted is not False:
        return fit

    def required(value: Value, field: SalesforceField) -> Value:
        fitted = fit(value, field)
        if fitted is None:
            raise Unfit("m3ter has no value, and the org requires one")
        return fitted

    return required


def _unchanged(value: Value, _described: SalesforceField) -> Value:
    return value


def _text(value: Value, described: SalesforceField) -> Value:
    if value is None:
        return None
    words = str(text(value) or "")
    # Salesforce takes the blanks off both ends before it counts.
    length = len(words.strip(BLANK))
    if described.length and length > described.length:
        raise Unfit(
            f"{shown(words)} is {length} characters long, the field holds {described.length}"
        )
    return words if length else None


def _picklist(value: Value, described: SalesforceField) -> Value:
    words = _text(value, described)
    told = str(words or "").strip(BLANK)
    if told and described.restricted and told not in described.picklist:
        raise Unfit(f"{shown(words)} is not a value of this restricted picklist")
    return words


def _choices(value: Value, described: SalesforceField) -> Value:
    """Several values of a picklist, joined with ``;``."""
    words = _text(value, described)
    chosen = str(words).split(";") if words else []
    if described.restricted and (strange := set(chosen) - set(described.picklist)):
        raise Unfit(f"{shown(min(strange))} is not a value of this restricted picklist")
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


def _whole(value: Value, described: SalesforceField) -> Value:
    """A field of type ``int`` or ``long`` has no fractions and 32 or 64 bits."""
    if value is None:
        return None
    exact = Decimal(integer(value))  # type: ignore[arg-type] # as above
    bits = 31 if described.type == "int" else 63
    if exact.adjusted() > 18 or not -(2**bits) <= exact < 2**bits:
        raise Unfit(f"{shown(exact)} is not a whole number of {bits + 1} bits")
    return exact


def _checkbox(value: Value, _described: SalesforceField) -> Value:
    """A checkbox has no third state: nothing is not checked."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise Unfit(f"{shown(value)} is neither true nor false")


def _date(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else _known_day(calendar_date(value))


def _datetime(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else _known_day(date_time(value))


def _known_day(value: Value) -> Value:
    if not EARLIEST <= str(value)[:10] <= LATEST:
        raise Unfit(f"{shown(value)} is not between {EARLIEST} and {LATEST}")
    return value


_FITS: dict[str, _Fit] = {
    "string": _text,
    "textarea": _text,
    "email": _text,
    "phone": _text,
    "url": _text,
    "picklist": _picklist,
    "combobox": _text,
    "multipicklist": _choices,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "int": _whole,
    "long": _whole,
    "boolean": _checkbox,
    "date": _date,
    "datetime": _datetime,
}
"""Describe's field types; a type that is not listed takes what comes.

Source: Salesforce Object Reference, "Field Types".
"""
