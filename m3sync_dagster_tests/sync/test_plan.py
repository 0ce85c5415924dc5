from decimal import Decimal

import pytest

from m3sync_dagster.sync.outcome import Value
from m3sync_dagster.sync.plan import quoted, same


@pytest.mark.parametrize(
    ("before", "after", "kind", "expected"),
    [
        (None, None, "string", True),
        ("", None, "string", True),
        (None, "a", "string", False),
        ("a", None, "string", False),
        ("a", "a", "string", True),
        ("A", "a", "string", False),
        (Decimal("1.50"), Decimal("1.5"), "double", True),
        (2, Decimal("2.0"), "double", True),
        (Decimal("0.00000001"), 0, "double", False),
        (Decimal("12345678901234567890.1"), Decimal("12345678901234567890.2"), "double", False),
        (0, None, "double", False),
        ("1", 1, "double", False),
        (False, False, "boolean", True),
        (None, False, "boolean", False),
        (True, False, "boolean", False),
        ("2026-01-31T10:20:30.000+0000", "2026-01-31T10:20:30.999Z", "datetime", True),
        ("2026-01-31T10:20:30.000+0000", "2026-01-31T10:20:31.000Z", "datetime", False),
        ("2026-01-31T11:20:30.000+0100", "2026-01-31T10:20:30.000Z", "datetime", True),
        ("2026-01-31", "2026-01-31", "date", True),
        ("2026-01-31", "2026-02-01", "date", False),
    ],
)
def test_values_are_compared_as_the_field_holds_them(
    before: object, after: Value, kind: str, expected: bool
) -> None:
    assert same(before, after, kind) is expected


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("5a4d", "'5a4d'"),
        ("o'neil", r"'o\'neil'"),
        ("back\\slash'", r"'back\\slash\''"),
        ("two\nlines\r", r"'two\nlines\r'"),
    ],
)
def test_texts_in_soql_cannot_end_their_quotes(text: str, literal: str) -> None:
    assert quoted(text) == literal
