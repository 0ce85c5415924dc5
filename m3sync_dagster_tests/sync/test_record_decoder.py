import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3sync_dagster.sync.converters import ConversionError, Undecodable
from m3sync_dagster.sync.record_decoder import MOST_NESTED, _count_keys, decode_record, id_of

GOOD = b'"id":"a1","good":"x"'


def nested(levels: int) -> bytes:
    """An array of so many levels."""
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'"\\ud83d"', "'\\ud83d' has half a surrogate pair"),
        (b'"\\ude00"', "half a surrogate pair"),
        (b'"\\ud83d and \\ude00"', "half a surrogate pair"),
        (b'"\xed\xa0\xbd"', "not UTF-8"),
        (b'"Caf\xe9"', "not UTF-8"),
        (b'"\xff0\xff"', "nested deeper"),
        (b'"\xffa\xff"', "not UTF-8"),
        (b'"\xff00"', "not UTF-8"),
        (b'"00\xff"', "not UTF-8"),
        (b'"\\ud83d0\\ud83d"', "half a surrogate pair"),
        (b'1,"bad":2,"bad":3', "has 'bad' twice"),
        (b"1e99999999999999999999", "too large or too small"),
        (b"-1e-99999999999999999999", "too large or too small"),
        (b"NaN", "NaN is not a number"),
        (b"-Infinity", "-Infinity is not a number"),
        (b'1,"bad":1', "has 'bad' twice"),
        (b'1 , "bad" \n : 2', "has 'bad' twice"),
        (b'{},"bad":{"a":1}', "has 'bad' twice"),
        (b'1,"\\u0062ad":1', "has 'bad' twice"),
    ],
)
def test_an_unusable_value_does_not_affect_the_others(value: bytes, reason: str) -> None:
    record = decode_record(b'{"bad":%s,%s}' % (value, GOOD))
    assert isinstance(record, dict)
    bad = record.pop("bad")
    assert isinstance(bad, Undecodable)
    assert reason in bad.reason
    assert bad.reason.isprintable()
    assert record == {"id": "a1", "good": "x"}


@pytest.mark.parametrize(
    ("inner", "path"),
    [
        (b'{"a":{"b":1,"b":2}}', ("a", "b")),
        (b'{"a":{"b":"\\ud83d"}}', ("a", "b")),
        (b'[0,{"b":"\xff"}]', (1, "b")),
    ],
)
def test_it_may_be_inside_another_value(inner: bytes, path: tuple[str | int, ...]) -> None:
    found: object = decode_record(b'{"bad":%s,%s}' % (inner, GOOD))
    for step in ("bad", *path):
        found = found[step]  # type: ignore[index] # the test's own structure
    assert isinstance(found, Undecodable)


def test_the_keys_of_all_levels_are_counted_up_to_the_last_one_that_is_allowed() -> None:
    value = {"a": [{"b": {"c": 1}}, "text"], "d": [[], 2]}
    assert _count_keys(value, 4) == 4
    with pytest.raises(RecursionError):
        _count_keys(value, 3)


def test_an_ordinary_record_is_not_read_by_pythons_decoder() -> None:
    """That one makes a ``Decimal`` of a number with so many digits."""
    record = decode_record(b'{ "a" : [{"b": %s}] }' % (b"9" * 4200))
    assert repr(record) == repr({"a": [{"b": int("9" * 4200)}]})


@pytest.mark.parametrize("levels", [MOST_NESTED, 900, 100_000])
def test_a_value_nested_too_deep_does_not_affect_the_others(levels: int) -> None:
    record = decode_record(b'{"deep":%s,%s}' % (nested(levels), GOOD))
    assert isinstance(record, dict)
    assert "nested deeper" in str(record["deep"])
    assert record["good"] == "x"
    fine = decode_record(b'{"deep":%s,%s}' % (nested(MOST_NESTED - 1), GOOD))
    assert "nested deeper" not in str(fine)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"a\\u0000b"', "a\0b"),
        (b'"a\x01b"', "a\x01b"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"{\\"a\\":1,\\"a\\":2}"', '{"a":1,"a":2}'),
        (b"1.50", Decimal("1.50")),
        (b"1e999", Decimal("1e999")),
        (b"9" * 30, int("9" * 30)),
        (b"9" * 4000, int("9" * 4000)),
        (b"9" * 5000, Decimal("9" * 5000)),
        (b'"%s"' % (b"x" * 10_000_000), "x" * 10_000_000),
        (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    ],
)
@pytest.mark.parametrize("beside", [b"1", b'"\\ud83d"'], ids=["alone", "beside a bad value"])
def test_what_can_be_used_is_exact(value: bytes, expected: object, beside: bytes) -> None:
    record = decode_record(b'{"value":%s,"other":%s}' % (value, beside))
    assert isinstance(record, dict)
    assert record["value"] == expected
    assert type(record["value"]) is type(expected)


@pytest.mark.parametrize("value", [7, "text", None, True, [1, "text"]])
def test_what_is_no_record_is_decoded_as_it_is(value: object) -> None:
    assert decode_record(json.dumps(value).encode()) == value


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":"\\q"}', b'{"a":01}', b'{"a":1}x', b'{"a'])
def test_what_is_no_json_says_so(raw: bytes) -> None:
    with pytest.raises(ConversionError, match="not valid JSON"):
        decode_record(raw)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _VALUES), st.booleans(), st.sampled_from([None, 2]))
def test_sound_json_is_read_as_it_is_written(
    record: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(record, ensure_ascii=ascii_only, indent=indent)
    assert decode_record(text.encode()) == record


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"id":"a","name":"x"}', "a"),
        (b'{"name":"\\ud83d","id":"a"}', "a"),
        (b'{"name":"\xff","id":"a"}', "a"),
        (b'{"id":"a","deep":' + nested(100_000) + b"}", "a"),
        (b'{"id":"\\ud83d"}', None),
        (b'{"id":7}', None),
        (b"{}", None),
        (b"[]", None),
        (b"{", None),
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_the_id_is_read_from_a_record_with_unusable_values(
    raw: bytes, expected: str | None
) -> None:
    assert id_of(raw) == expected
