"""Conditions of queries: comparisons of a field's value with literals.

Source: Salesforce SOQL and SOSL Reference, "Comparison Operators".
"""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from m3sync_dagster.sandbox.salesforce.field_values import Value, datetime_text
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Literal, like_pattern
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError

Test = Callable[[Value], bool]
"""Whether a field's stored value matches."""
Comparable = str | bool | Decimal | None
"""A stored value in the form in which it is compared."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_LITERALS = {"DateTime": "datetime", "Date": "date", "Checkbox": "boolean"}
_NO_TEXT = frozenset({*NUMERIC, *_LITERALS, "Time", "Id", "Lookup"})
"""Types of fields that ``LIKE`` cannot compare."""


def comparison_test(field: FieldDef, condition: Comparison) -> Test:
    """The test of one comparison.

    Raises:
        QueryError: the field cannot be filtered, or a literal has another type.
    """
    if field.type == "LongTextArea":
        message = f"field '{condition.path}' can not be filtered in a query call"
        raise QueryError("INVALID_FIELD", message, condition.path)
    if condition.operator == "like":
        return _like_test(field, condition)
    expected = [_literal_value(field, condition.path, literal) for literal in condition.values]
    if condition.operator in {"=", "in"}:
        return lambda value: _to_comparable(field, value) in expected
    if condition.operator in {"!=", "not in"}:
        return lambda value: _to_comparable(field, value) not in expected
    compare, bound = _COMPARE[condition.operator], expected[0]

    def matches(value: Value) -> bool:
        found = _to_comparable(field, value)
        return found is not None and bound is not None and compare(found, bound)

    return matches


def _like_test(field: FieldDef, condition: Comparison) -> Test:
    if field.type in _NO_TEXT:
        message = f"invalid operator on {field.type.lower()} field"
        raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, condition.path)
    pattern = like_pattern(str(condition.values[0].value))
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _literal_value(field: FieldDef, text: str, literal: Literal) -> Comparable:
    """A literal in the form in which the field's values are compared."""
    kind = "number" if field.type in NUMERIC else _LITERALS.get(field.type, "string")
    if literal.kind == "null":
        return None
    if literal.kind != kind:
        quoted = "" if kind == "string" else "not "
        message = (
            f"value of filter criterion for field '{text}' must be of type {kind} and should"
            f" {quoted}be enclosed in quotes"
        )
        raise QueryError("INVALID_FIELD", message, text)
    if kind == "datetime":
        return _moment(text, str(literal.value))
    value = literal.value
    return _to_comparable(field, str(value) if isinstance(value, Decimal) else value)


def _moment(path: str, text: str) -> str:
    try:
        return datetime_text(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        message = f"invalid date and time: {text}"
        raise QueryError("MALFORMED_QUERY", message, path) from None


def _to_comparable(field: FieldDef, value: Value) -> Comparable:
    """A stored value in the form in which it is compared; most fields ignore case."""
    if not isinstance(value, str) or field.type in {"Date", "DateTime"}:
        return value
    if field.type in NUMERIC:
        return Decimal(value)
    if field.type == "Id" or field.refers_to:
        return value[:15]
    return value if field.case_sensitive else value.casefold()
