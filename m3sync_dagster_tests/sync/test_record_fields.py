"""How the fields of a m3ter record are read."""

import pytest

from m3sync_dagster.entities import Field, FieldKind
from m3sync_dagster.sync.converters import ConversionError, Undecodable
from m3sync_dagster.sync.record_fields import (
    Record,
    decode_identified,
    getter,
    no_conversion,
    title_of,
)

TITLE = Field("title", "Name", FieldKind.TITLE, length=10, sources=("name", "code", "id"))


def test_a_record_is_decoded_with_its_id() -> None:
    assert decode_identified(b'{"id":"a1","code":1}') == ("a1", {"id": "a1", "code": 1})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[1]", "'[1]' is not a record"),
        (b"{}", "id: 'None' is not the id of a record"),
        (b'{"id":"a","id":"b"}', "id: the record has 'id' twice"),
    ],
)
def test_what_is_no_record_or_has_no_id_says_so(raw: bytes, reason: str) -> None:
    with pytest.raises(ConversionError) as refused:
        decode_identified(raw)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("code", "c"),
        ("missing", None),
        ("address.country", "GB"),
        ("address.missing", None),
        ("missing.country", None),
        # The rest of a path is one name: a custom field's may have a dot in it.
        ("address.a.b", "dotted"),
    ],
)
def test_a_path_names_a_field_or_one_of_an_object(path: str, value: object) -> None:
    assert getter(path)({"code": "c", "address": {"country": "GB", "a.b": "dotted"}}) == value


def test_a_field_of_what_is_no_object_cannot_be_read() -> None:
    with pytest.raises(ConversionError) as refused:
        getter("address.country")({"address": ["GB"]})
    assert str(refused.value) == "address is \"['GB']\", not an object"


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({"name": " A \n B ", "code": "C"}, "A B"),
        ({"name": "more than ten", "code": "C"}, "more than"),
        ({"name": " ", "code": 5, "id": "x"}, "x"),
        ({}, None),
    ],
)
def test_a_title_is_the_first_text_without_line_ends_cut_to_fit(
    record: Record, title: str | None
) -> None:
    assert title_of(record, TITLE) == title


def test_a_title_is_not_made_of_what_comes_after_a_field_that_cannot_be_read() -> None:
    record: Record = {"name": " ", "code": Undecodable("it is odd"), "id": "x"}
    with pytest.raises(ConversionError) as refused:
        title_of(record, TITLE)
    assert str(refused.value) == "code: it is odd"


def test_a_title_needs_no_conversion() -> None:
    assert no_conversion("a title") == "a title"
