"""Texts from outside, as people see them."""

import json

import httpx
import pytest

from m3sync_dagster.m3ter.request_errors import response_error
from m3sync_dagster.salesforce.error_classification import ApiError
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.printable_text import escaped_json, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße 😀 [red]", "Straße 😀 [red]"),
        ("two\nlines\tand\r\nmore", "two\nlines\tand\r\nmore"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("real\rfake", r"real\rfake"),
        ("\x9b2J\x85\x7f", r"\x9b2J\x85\x7f"),
        ("abc\u202efdp.exe\u2066", r"abc\u202efdp.exe\u2066"),
        ("one\u2028two", r"one\u2028two"),
    ],
)
def test_what_a_terminal_would_obey_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_message_of_a_server_is_no_line_of_a_log() -> None:
    forged = "bad value\n2026-11-27 10:00:00 INFO all rows sent\r\n\x1b[1A"
    shown = r"bad value 2026-11-27 10:00:00 INFO all rows sent \x1b[1A"
    assert one_line(forged) == shown
    assert str(ApiError("FIELD_CUSTOM", forged)) == f"FIELD_CUSTOM: {shown}"
    request = httpx.Request("GET", "https://api.m3ter.com/accounts")
    answer = httpx.Response(400, json={"message": forged}, request=request)
    assert f"with 400: {shown}." in str(response_error("/accounts", answer, str))


def test_no_error_has_a_control_character() -> None:
    error = RemoteError("Salesforce says \x1b[2J", "Look.")
    for one in (error, error.with_cause("again \x1b[2J"), error.with_remedy("Look again.")):
        assert "\x1b" not in f"{one} {one.cause} {one!r} {one.args}"
        assert r"\x1b[2J" in one.cause


@pytest.mark.parametrize("text", ["\x9b2J", "a\x7fb", "\u202e", "ü\n😀"])
def test_json_keeps_its_content(text: str) -> None:
    written = escaped_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(written) == [text]
    assert printable(written) == written
