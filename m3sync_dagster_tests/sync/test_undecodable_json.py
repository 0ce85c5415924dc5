import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3sync_dagster.sync.undecodable_json import JsonParts

SOUND = [
    b"{}",
    b'{"a":"plain","b":[1,2.5,null,true]}',
    '{"a":"é中\U0001f600 \\" \\/ \\n \\u00e9"}'.encode(),
    b'{"a":"NaN","b":"Infinity"}',
    b'{"a":"\\\\","b":"\\\\\\""}',
]
ODD = [
    b'{"a":"\\ud83d"}',
    b'{"a":"\\ude00"}',
    b'{"a":"\\\\\\ud83d"}',
    b'{"\\ud83d":1}',
    b'{"a":"\x00\x01\n"}',
    b'{"a":"\\q"}',
    b'{"a":"\\u12"}',
    b'{"a":NaN,"b":-Infinity,"c":Infinity}',
    b'["\xff0\xff","\xff7\xff"]',
    b'{"a":"' + b'\\"\\ud83d' * 1000 + b'"}',
]


@pytest.mark.parametrize("text", SOUND)
def test_a_sound_text_stays_as_it_is(text: bytes) -> None:
    assert JsonParts().without_odd_strings(text) == text


@pytest.mark.parametrize("text", ODD)
def test_replaced_parts_leave_json_and_are_restored(text: bytes) -> None:
    parts = JsonParts()
    legible = parts.without_odd_strings(text)
    msgspec.json.decode(legible, type=msgspec.Raw)
    assert legible != text
    assert parts.restored(legible) == text


@pytest.mark.parametrize(
    ("text", "most", "marks"),
    [
        (b"[[1]]", 2, 0),
        (b"[[[1]]]", 2, 1),
        (b'[[["[["]],[["]"]],[2]]', 2, 2),
        (b'{"a":[[]],"b":[1],"c":{"d":{}}}', 2, 2),
        (b"[" * 100_000 + b"]" * 100_000, 50, 1),
    ],
)
def test_what_is_nested_too_deep_is_set_aside(text: bytes, most: int, marks: int) -> None:
    parts = JsonParts()
    flat = parts.without_deep_parts(text, most)
    msgspec.json.decode(flat, type=msgspec.Raw)
    assert flat.count(b'"\xff') == marks
    assert parts.restored(flat) == text


def test_a_deep_part_may_hold_an_odd_string() -> None:
    text = b'[[[["\\ud83d"]]],"\\ud83d"]'
    parts = JsonParts()
    flat = parts.without_deep_parts(parts.without_odd_strings(text), 2)
    msgspec.json.decode(flat, type=msgspec.Raw)
    assert parts.restored(flat) == text


@pytest.mark.parametrize("text", [b'{"a":"\\ud83d', b'["', b'{"a":"' + b'\\"' * 50_000])
def test_a_string_without_an_end_gets_none(text: bytes) -> None:
    parts = JsonParts()
    assert parts.without_deep_parts(parts.without_odd_strings(text), 2) == text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=30,
    ),
    st.integers(1, 4),
)
def test_every_replaced_part_is_restored(value: object, most: int) -> None:
    text = json.dumps(value).encode()
    parts = JsonParts()
    flat = parts.without_deep_parts(parts.without_odd_strings(text), most)
    msgspec.json.decode(flat, type=msgspec.Raw)
    assert parts.restored(flat) == text
