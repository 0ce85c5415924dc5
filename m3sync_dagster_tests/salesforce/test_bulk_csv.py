"""Rows become the CSV that Bulk API 2.0 documents, and result sets become rows again."""

import csv
import hashlib
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from m3sync_dagster.salesforce.bulk_csv import (
    IdChecksum,
    cell,
    header,
    read_results,
    write_rows,
)
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.row_types import Column, Row, Target, Value

TARGET = Target(
    "Thing__c",
    "m3ter_Id__c",
    (Column("Name"), Column("Amount__c"), Column("Account__c", "Account__r", "m3ter_Id__c")),
)
BIG = 100_000_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "#N/A"),
        ("", "#N/A"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (2**70, "1180591620717411303424"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("-0.10"), "-0.10"),
        (Decimal("1E+999999"), "1E+999999"),
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        (" spaced ", " spaced "),
        ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z"),
        ("zażółć 雪 \u2028", "zażółć 雪 \u2028"),
    ],
)
def test_a_value_becomes_a_cell(value: Value, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("empty", "last"),
    [(frozenset[str](), "Account__r.m3ter_Id__c"), (frozenset({"Account__c"}), "Account__c")],
)
def test_the_header_sets_a_lookup_by_external_id_and_clears_it_by_field(
    empty: frozenset[str], last: str
) -> None:
    assert header(TARGET, empty) == ["m3ter_Id__c", "Name", "Amount__c", last]


def test_the_bytes_are_exactly_these(tmp_path: Path) -> None:
    rows = [
        Row("r1", ['say "hi", ok', Decimal("1.10"), "a1"]),
        Row("r2", ["two\nlines", None, "a1"]),
        Row("r3", ["ünï", 7, "a2"]),
    ]
    (upload,) = write_rows(header(TARGET, frozenset()), rows, tmp_path, BIG)
    data = upload.path.read_bytes()
    assert (
        data
        == (
            "m3ter_Id__c,Name,Amount__c,Account__r.m3ter_Id__c\n"
            'r1,"say ""hi"", ok",1.10,a1\n'
            'r2,"two\nlines",#N/A,a1\n'
            "r3,ünï,7,a2\n"
        ).encode()
    )
    assert upload.sha256 == hashlib.sha256(data).hexdigest()
    assert upload.ids.count == 3


def test_files_are_split_at_the_limit_and_lose_nothing(tmp_path: Path) -> None:
    rows = [Row(f"r{i}", ["é" * (i % 40), i, f"a{i // 7}"]) for i in range(500)]
    head = header(TARGET, frozenset())
    seen: list[str] = []
    sizes: list[int] = []
    for upload in write_rows(head, rows, tmp_path, 2_000):
        sizes.append(upload.path.stat().st_size)
        with upload.path.open(encoding="utf-8", newline="") as file:
            first, *rest = csv.reader(file)
        assert first == head
        assert len(rest) == upload.ids.count
        seen += [row[0] for row in rest]
    assert len(sizes) > 5
    assert max(sizes) <= 2_000
    assert seen == [row.m3ter_id for row in rows]


def test_a_row_larger_than_the_limit_goes_alone(tmp_path: Path) -> None:
    rows = [Row("r1", ["x" * 500, 1, "a"]), Row("r2", ["y" * 500, 1, "a"])]
    uploads = list(write_rows(header(TARGET, frozenset()), rows, tmp_path, 100))
    assert [upload.ids.count for upload in uploads] == [1, 1]


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    assert list(write_rows(["a"], [], tmp_path, BIG)) == []


def test_rows_are_read_only_as_files_are_asked_for(tmp_path: Path) -> None:
    read: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(1_000):
            read.append(number)
            yield Row(f"r{number}", ["x" * 50, 1, "a"])

    next(write_rows(header(TARGET, frozenset()), rows(), tmp_path, 1_000))
    assert len(read) < 30


def test_writing_and_reading_hold_no_file_in_memory(tmp_path: Path) -> None:
    rows = (Row(f"r{number}", ["x" * 400, number, "a"]) for number in range(20_000))
    tracemalloc.start()
    try:
        (upload,) = write_rows(header(TARGET, frozenset()), rows, tmp_path, BIG)
        count = sum(1 for _ in read_results(upload.path, ("m3ter_Id__c", "Name")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert upload.path.stat().st_size > 8_000_000
    assert peak < 2_000_000


def test_a_result_set_is_read_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(
        '"sf__Id","sf__Created",Name,m3ter_Id__c\n'
        '"001","true","a ""b""\r\nc\u2028d","r1"\n"","false","","r2"\n\n'.encode()
    )
    assert list(read_results(path, ("m3ter_Id__c", "Name", "sf__Created"))) == [
        ("r1", 'a "b"\r\nc\u2028d', "true"),
        ("r2", "", "false"),
    ]


@pytest.mark.parametrize("data", [b"", b'"sf__Id","sf__Created","m3ter_Id__c"\n'])
def test_an_empty_result_set_has_no_rows(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(data)
    assert list(read_results(path, ("m3ter_Id__c", "sf__Id"))) == []


@pytest.mark.parametrize(
    "data",
    [
        b'"sf__Id","Other"\n"1","2"\n',
        b'"sf__Id","m3ter_Id__c"\n"1"\n',
        b'"sf__Id","m3ter_Id__c"\n"1","\xff\xfe"\n',
        b"<html>sorry</html>",
    ],
)
def test_an_unreadable_result_set_stops_the_run(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(data)
    with pytest.raises(RemoteError, match="cannot be read"):
        list(read_results(path, ("m3ter_Id__c", "sf__Id")))


def test_a_checksum_does_not_depend_on_the_order_of_ids() -> None:
    one, two, other = IdChecksum(), IdChecksum(), IdChecksum()
    for key in ("a", "b", "c"):
        one.add(key)
    for key in ("c", "a", "b"):
        two.add(key)
    for key in ("a", "b", "b"):
        other.add(key)
    assert one == two
    assert one != other
