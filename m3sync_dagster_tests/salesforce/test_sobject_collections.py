"""Calls of sObject Collections: which are sent in parallel, and their JSON."""

from decimal import Decimal
from math import ceil
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3sync_dagster.salesforce.sobject_collections import body, split_calls
from m3sync_dagster.sync.row_types import Column, Row, Target, Value

TARGET = Target(
    "Thing__c",
    "m3ter_Id__c",
    (Column("Value__c"), Column("Account__c", "Account__r", "m3ter_Id__c")),
)


def children(*sizes: int) -> list[Row]:
    """Rows of several parents, with the given numbers of children."""
    parents = (parent for parent, size in enumerate(sizes) for _ in range(size))
    return [Row(f"r{i}", [f"p{parent}"]) for i, parent in enumerate(parents)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((1,) * 10, [[4], [4], [2]]),
        ((4, 4, 2), [[4], [4], [2]]),
        ((3, 3, 3), [[4, 4, 1]]),
        ((10,), [[4, 4, 2]]),
        ((4, 6), [[4], [4, 2]]),
        ((), []),
    ],
)
def test_calls_that_share_a_parent_go_one_after_the_other(
    sizes: tuple[int, ...], expected: list[list[int]]
) -> None:
    found = split_calls(children(*sizes), 0, 4)
    assert [[len(chunk) for chunk in sequence] for sequence in found] == expected


def test_rows_without_a_parent_are_sent_in_parallel() -> None:
    rows = [Row(f"r{i}", [None]) for i in range(10)]
    assert len(split_calls(rows, None, 4)) == len(split_calls(rows, 0, 4)) == 3


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 10))
def test_no_parent_is_in_two_sequences_and_every_call_is_full(sizes: list[int], size: int) -> None:
    rows = children(*sizes)
    found = split_calls(rows, 0, size)
    chunks = [chunk for sequence in found for chunk in sequence]
    assert [row for chunk in chunks for row in chunk] == rows
    assert len(chunks) == ceil(len(rows) / size)
    parents = [{row.values[0] for chunk in sequence for row in chunk} for sequence in found]
    assert sum(map(len, parents)) == len(set[Value]().union(*parents))


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("-0.0"), "-0.0"),
        (Decimal("123456789012345678.123456789"), "123456789012345678.123456789"),
        (Decimal("1E+999999"), "1E+999999"),
        (2**70, "1180591620717411303424"),
        (0, "0"),
        (True, "true"),
        (None, "null"),
        ("", "null"),
        ('q"\r\n雪\rz', '"q\\"\\n雪\\nz"'),
    ],
)
def test_a_number_is_written_with_its_exact_digits(value: Value, literal: str) -> None:
    assert f'"Value__c":{literal},'.encode() in body(TARGET, [Row("r1", [value, "a1"])])


@pytest.mark.parametrize(
    ("parent", "expected"),
    [("a1", {"Account__r": {"m3ter_Id__c": "a1"}}), (None, {"Account__c": None})],
)
def test_a_lookup_is_set_by_external_id_and_cleared_by_field(
    parent: str | None, expected: dict[str, Any]
) -> None:
    sent = msgspec.json.decode(body(TARGET, [Row("r1", ["x", parent])]))
    attributes = {"attributes": {"type": "Thing__c"}, "m3ter_Id__c": "r1", "Value__c": "x"}
    assert sent == {"allOrNone": False, "records": [attributes | expected]}
