"""Checking and converting a value by the type and the definition of a Salesforce field.

Sources: Salesforce Object Reference, "Field Types"; SOAP API Developer Guide, "Primitive Data
Types".
"""

import math
import re
import sys
from collections.abc import Callable
from decimal import Decimal

from m3sync_dagster.sync.converters import (
    BLANK,
    ConversionError,
    any_value,
    boolean,
    calendar_date,
    clock_time,
    date_time,
    integer,
    length,
    number,
    shown,
    text,
)
from m3sync_dagster.sync.record_fields import Convert, no_conversion
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField

Rule = Callable[[Value, SalesforceField], Value]
"""Gives the value to send to a field, or raises ``ConversionError``."""
Step = Callable[[object], Value]
"""Gives the value to send for a m3ter value, or raises ``ConversionError``."""

MOST_DIGITS = 18
"""Digits that a number has at most. Source: Salesforce Help, "Custom Field Types"."""
_FEW_DIGITS = 15
"""Digits of numbers that fit into every number field with as many before the decimal point."""
EARLIEST, LATEST = "1700-01-01", "4000-12-31"
"""The first and the last date that Salesforce accepts.

Source: SOAP API Developer Guide, "Primitive Data Types"."""

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


def rule_of(described: SalesforceField, *, by_external_id: bool = False) -> Rule:
    """The rule for a field's type; a required field also needs a value.

    Args:
        described: the field.
        by_external_id: it is a lookup that is set by the other record's external ID.
    """
    rule = _unchanged if by_external_id else _RULES.get(described.type, _unchanged)
    if described.nillable or described.defaulted is not False:
        return rule

    def required(value: Value, field: SalesforceField) -> Value:
        converted = rule(value, field)
        if converted is None:
            raise ConversionError("there is no value, and the org requires one")
        return converted

    return required


def one_step(convert: Convert, rule: Rule, described: SalesforceField) -> Step:
    """One function for a converter and the rule after it, with the same result.

    For a value that cannot be sent, only that it raises ``ConversionError`` is the same, and not
    the text.

    Args:
        convert: the converter of the m3ter field.
        rule: the rule of the Salesforce field, from ``rule_of``.
        described: the Salesforce field.
    """
    step: Step
    if (convert, rule) in _SAME_CONVERSION:
        converting: Callable[[object, SalesforceField], Value] = rule  # type: ignore[assignment] # it begins with this converter, so it takes any value

        def step(value: object) -> Value:
            return converting(value, described)
    else:

        def step(value: object) -> Value:
            return rule(None if value is None else convert(value), described)

    if rule is _text and convert in (text, any_value, no_conversion):
        return _plain_text(described.length or sys.maxsize, step)
    if rule is _number and convert in (number, integer, any_value):
        return _short_number(0 if convert is integer else _FEW_DIGITS, described, step)
    return step


def _plain_text(most: int, otherwise: Step) -> Step:
    """A step that sends a short text of printable characters as it is: there is nothing to convert.

    It begins with no blank, so it is not empty. A character may count as two, see ``length``.
    """

    def step(value: object) -> Value:
        if value is None:
            return None
        if (
            type(value) is str
            and value.isprintable()
            and value[:1] > " "
            and (2 * len(value) <= most or (len(value) <= most and value.isascii()))
        ):
            return value
        return otherwise(value)

    return step


def _short_number(decimals: int, described: SalesforceField, otherwise: Step) -> Step:
    """A step that sends a number of few digits as it is if the field holds as many.

    Args:
        decimals: the most digits after the decimal point.
        described: the field.
        otherwise: what any other value gets.
    """
    most_digits = described.precision - described.scale if described.precision else _FEW_DIGITS
    limit = 10 ** min(most_digits, _FEW_DIGITS) if most_digits > 0 else 0

    def step(value: object) -> Value:
        if type(value) is int and -limit < value < limit:
            return Decimal(value)
        if type(value) is Decimal:
            _, digits, exponent = value.as_tuple()
            if (
                isinstance(exponent, int)
                and len(digits) <= _FEW_DIGITS
                and -decimals <= exponent <= 0
                and len(digits) + exponent <= most_digits >= 0
            ):
                return value
        return otherwise(value)

    return step


def _unchanged(value: Value, _described: SalesforceField) -> Value:
    return value


def _text(value: Value, described: SalesforceField) -> Value:
    """Salesforce strips blanks from both ends before it counts the length."""
    if value is None:
        return None
    words = str(text(value) or "")
    counted = words.strip(BLANK)
    if described.length and (units := length(counted)) > described.length:
        note = ", and an emoji counts as two" if units > len(counted) else ""
        raise ConversionError(
            f"{shown(words)} is {units} characters long, the field holds {described.length}{note}"
        )
    return words if counted else None


def _picklist(value: Value, described: SalesforceField) -> Value:
    words = _text(value, described)
    chosen_value = str(words or "").strip(BLANK)
    if chosen_value and described.restricted and chosen_value not in described.picklist:
        raise ConversionError(f"{shown(words)} is not a value of this restricted picklist")
    return words


def _choices(value: Value, described: SalesforceField) -> Value:
    """Several values of a picklist, joined with ``;``; Salesforce keeps each once."""
    words = str(_text(value, described) or "")
    chosen = dict.fromkeys(filter(None, (part.strip(BLANK) for part in words.split(";"))))
    if described.restricted and (unknown := chosen.keys() - set(described.picklist)):
        raise ConversionError(f"{shown(min(unknown))} is not a value of this restricted picklist")
    return ";".join(chosen) or None


def _number(value: Value, described: SalesforceField) -> Value:
    """Digits before the decimal point must fit; Salesforce keeps more of those after it.

    No number may have more than 18 digits in all.
    Source: Salesforce Help 000387302, on decimal places of numbers that come by the API.
    """
    if value is None:
        return None
    exact = Decimal(number(value))  # type: ignore[arg-type] # a converter gave int or Decimal
    most_digits = described.precision - described.scale
    whole = max(0, exact.adjusted() + 1) if exact else 0
    if described.precision and whole > most_digits:
        raise ConversionError(
            f"{shown(exact)} has {whole} digits before the decimal point, "
            f"the field holds {most_digits}"
        )
    if _figures(exact) > MOST_DIGITS:
        raise ConversionError(
            f"{shown(exact)} has more than the {MOST_DIGITS} digits that a number can have"
        )
    if exact and not 0 < abs(float(exact)) < math.inf:
        raise ConversionError(f"{shown(exact)} is too large or too small for any number field")
    return exact


def _figures(exact: Decimal) -> int:
    """The number of significant digits, without leading and trailing zeros."""
    return len(bytes(exact.as_tuple().digits).rstrip(b"\0"))


def _whole(value: Value, described: SalesforceField) -> Value:
    """A field of type ``int`` or ``long`` has no fractions and 32 or 64 bits."""
    if value is None:
        return None
    exact = Decimal(integer(value))  # type: ignore[arg-type] # as above
    bits = 31 if described.type == "int" else 63
    if not -(2**bits) <= exact < 2**bits:
        raise ConversionError(f"{shown(exact)} is not a whole number of {bits + 1} bits")
    return exact


def _checkbox(value: Value, _described: SalesforceField) -> Value:
    """A checkbox has no third state: no value means not checked."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise ConversionError(f"{shown(value)} is neither true nor false")


def _date(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else _known_day(calendar_date(value))


def _datetime(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else _known_day(date_time(value))


def _known_day(value: Value) -> Value:
    if not EARLIEST <= str(value)[:10] <= LATEST:
        raise ConversionError(f"{shown(value)} is not between {EARLIEST} and {LATEST}")
    return value


def _time(value: Value, _described: SalesforceField) -> Value:
    return None if value is None else clock_time(value)


def _reference(value: Value, _described: SalesforceField) -> Value:
    """A lookup that is not set by external ID accepts Salesforce Ids."""
    if value is None or (isinstance(value, str) and _ID.fullmatch(value)):
        return value
    raise ConversionError(f"{shown(value)} is not a Salesforce Id of 15 or 18 characters")


_RULES: dict[str, Rule] = {
    "string": _text,
    "textarea": _text,
    "email": _text,
    "phone": _text,
    "url": _text,
    "encryptedstring": _text,
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
    "time": _time,
    "reference": _reference,
}
"""Describe's field types; a type that is not listed accepts any value."""

_SAME_CONVERSION: frozenset[tuple[Convert, Rule]] = frozenset(
    {
        (text, _text),
        (number, _number),
        (boolean, _checkbox),
        (calendar_date, _date),
        (date_time, _datetime),
    }
)
"""The converters with which a rule begins: a value needs only one of the two conversions."""
