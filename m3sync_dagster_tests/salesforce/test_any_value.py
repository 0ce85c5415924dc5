"""Arbitrary JSON values, mapped, validated and sent to a field of each type.

Either Salesforce then holds what the value says, or the row is listed as invalid; or as waiting,
where the value is the id of a record that is not there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from m3sync_dagster.entities import ENTITIES, Field, FieldKind
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.sandbox.salesforce import Credentials, Org, create_app
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, field_from_json
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.change_detection import build_candidate
from m3sync_dagster.sync.csv_header_groups import RowGroups
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import RecordHash, Row, Target
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.schema_findings import SchemaMismatchError
from m3sync_dagster_tests.salesforce.conftest import SECRET, Jobs, Time, group

OBJECT = "Anything__c"
FIELDS: dict[str, dict[str, Any]] = {
    "Text": {"length": 30},
    "LongTextArea": {"length": 2_000},
    "Email": {"length": 80},
    "Phone": {"length": 40},
    "Url": {"length": 255},
    "Number": {"precision": 18, "scale": 6},
    "Currency": {"precision": 18, "scale": 2},
    "Percent": {"precision": 5, "scale": 0},
    "Checkbox": {},
    "Date": {},
    "DateTime": {},
    "Picklist": {"picklist": ("A", "b c", "true", "1"), "restricted": True},
    "Open": {"type": "Picklist", "picklist": ("A",)},
    "Choices": {
        "type": "MultiselectPicklist",
        "length": 30,
        "picklist": ("b c", "A", "é", "1"),
        "restricted": True,
    },
    "OpenChoices": {"type": "MultiselectPicklist", "length": 30, "picklist": ("A",)},
    "TextArea": {"length": 255},
    "EncryptedText": {"length": 20},
    "Time": {},
    "Parent": {"type": "Lookup", "refers_to": "Parent__c", "child_relationship": "Anythings"},
    "AutoNumber": {"createable": False, "updateable": False},
}
"""One field of each type, as the metadata of the org describes it."""
KINDS = [kind for kind in FieldKind if kind not in {FieldKind.TITLE, FieldKind.LINK}]
"""A title may be shortened, and a link is not a value of the record: neither can be compared."""
PARENTS = ("A", "é", "null", "b c", "12345", "=1+1", "#N/A")
"""External IDs of the records that a lookup may point to."""
DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
BLANK = "".join(map(chr, range(0x21)))


class Json(str):
    """A JSON number, written with exactly these characters."""

    __slots__ = ()


def written(value: object) -> object:
    """A value in a form that is encoded with all its digits."""
    match value:
        case Json():
            return msgspec.Raw(value.encode())
        case list():
            return [written(part) for part in value]
        case dict():
            return {name: written(part) for name, part in value.items()}
    return value


digits = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
numbers = st.one_of(
    digits,
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["1e400", "-1E-400", "-0", "-0.0", "999999999999.999999", "1e11", "1e12"]),
).map(Json)
lines = st.text(st.sampled_from("aé🧾"), min_size=18, max_size=32)
"""Texts about as long as the fields are."""
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.sampled_from(" \t\r\n\0\x1f\u2028\xa0\"',;#N/Aab1é雪🧾"), max_size=35),
    digits,
    lines,
    st.sampled_from(["#N/A", " #N/A\n", "A", " b c ", "true", "null", "=1+1", '"', "a\r\nb", ""]),
    st.sampled_from(["NaN", "Infinity", "-0", "+1", "0x10", "1_000", " 12", "١٢", "A;b c;A;", ";"]),
    st.sampled_from(["10000-01-01", "2026-02-29", "1699-12-31", "4000-12-31T23:59:59.999-00:01"]),
    st.sampled_from(["2026-01-01T00:00:00.123456789Z", "2026-01-01T24:00:00Z", "2026-W01-1"]),
    st.lists(st.sampled_from(["A", " b c", "é", "1", "x", ""]), max_size=4).map(";".join),
    st.sampled_from(PARENTS),
    st.times().map(time.isoformat),
    st.dates().map(date.isoformat),
    st.datetimes().map(datetime.isoformat),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
)
broken = st.sampled_from(['"\\ud800"', '"\\udc00\\ud800"', "NaN", "-Infinity", "01", "{"]).map(Json)
"""Texts that are not JSON."""
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def equals(kind: FieldKind, to: str, value: object, held: object) -> bool:
    """Whether a stored value equals the sent value, computed without the product's code."""
    if value is None or value == "" or value in ([], {}):
        return held in (None, False)
    match to:
        case "Checkbox":
            same = held is value
        case "Number" | "Currency" | "Percent":
            same = isinstance(held, Decimal) and Decimal(str(value)) == held
        case "DateTime":
            same = moment(value) == moment(held)
        case "Time":
            same = clock(value) == clock(held)
        case "Choices" | "OpenChoices":
            same = as_json(kind, value) or chosen(value) == set(str(held or "").split(";"))
        case "Date":
            same = held == value
        case "Email":
            text = plain_text(value)
            same = held == (text and text.lower())
        case _:
            same = same_text(kind, value, held)
    return same


def as_json(kind: FieldKind, value: object) -> bool:
    """Whether a value is sent as JSON, which no picklist needs."""
    return kind is FieldKind.JSON or (kind is FieldKind.ANY and isinstance(value, list | dict))


def clock(value: object) -> time:
    return time.fromisoformat(str(value).rstrip("Z"))


def chosen(value: object) -> set[str]:
    """The chosen values, without order; no value gives one empty text."""
    told = value if isinstance(value, list) else [value]
    parts = ";".join(str_of(part) for part in told if part is not None).split(";")
    return set(filter(None, map(trimmed, parts))) or {""}


def moment(value: object) -> datetime:
    found = datetime.fromisoformat(str(value))
    return found.replace(microsecond=0, tzinfo=found.tzinfo or UTC).astimezone(UTC)


def same_text(kind: FieldKind, value: object, held: object) -> bool:
    if as_json(kind, value):
        return bool(DECODE(str(held).encode()) == DECODE(encode(value)))
    if kind is FieldKind.DATETIME:
        return moment(value) == moment(held)
    if not isinstance(value, list) and (
        isinstance(value, Json) or kind in {FieldKind.NUMBER, FieldKind.INTEGER}
    ):
        return Decimal(str(held)) == Decimal(str(value))
    return plain_text(value) == held


def plain_text(value: object) -> str | None:
    """A value as text, a list joined by semicolons; nothing if that is empty."""
    parts = value if isinstance(value, list) else [value]
    return trimmed(";".join(str_of(part) for part in parts if part is not None))


def str_of(part: object) -> str:
    if isinstance(part, bool):
        return str(part).lower()
    return format(Decimal(DECODE(part.encode())), "f") if isinstance(part, Json) else str(part)


def trimmed(text: str) -> str | None:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip(BLANK) or None


def encode(value: object) -> bytes:
    return msgspec.json.encode(written(value))


@dataclass
class Anything:
    """An org with one object that has a field of each type, and its client."""

    inside: Org
    org: SalesforceClient

    def held(self, to: str) -> dict[str, object]:
        """The values of a field by external ID; for a lookup the parent's external ID."""
        records = self.inside.records(OBJECT)
        parents = {parent["Id"]: parent["Key__c"] for parent in self.inside.records("Parent__c")}
        return {
            record["Key__c"]: parents.get(record[f"{to}__c"], record[f"{to}__c"])
            for record in records
        }

    def empty(self) -> None:
        """Leave the parents alone."""
        self.inside.clear_records()
        made = Target("Parent__c", "Key__c", ())
        fates = self.org.upsert(made, group([Row(key, []) for key in PARENTS]), Jobs())
        assert all(isinstance(fate, Acknowledged) for fate in chain.from_iterable(fates))


@pytest.fixture(scope="module")
def anything() -> Iterator[Anything]:
    app = create_app(credentials=Credentials("the-app", SECRET))
    inside: Org = app.state.org
    name = FieldDef("Name", "Name", "Text", length=80, name_field=True)
    unique = {"external_id": True, "unique": True, "case_sensitive": True}
    key = {"Key": {"type": "Text", "length": 64, **unique}}
    for object_name, fields in ((OBJECT, key | FIELDS), ("Parent__c", key)):
        definition = inside.schema.add_object(object_name, "Anything", "Anythings", name)
        for field, about in fields.items():
            made = field_from_json(f"{field}__c", {"type": field, **about})
            inside.schema.add_field(definition, made)
    inside.usage.max = 10_000_000
    with running(app) as url:
        org = SalesforceClient(ConnectedApp(url, "the-app", SECRET), sleep=Time().sleep)
        yield Anything(inside, org)
        org.close()


def mapping(kind: FieldKind, to: str) -> FieldMapping:
    return FieldMapping(
        entity=ENTITIES["account"],
        object_name=OBJECT,
        external_id_field="Key__c",
        fields=(Field("value", f"{to}__c", kind, refers_to="contract", sources=("value",)),),
        constants={},
        parent_external_ids={"contract": "Key__c"},
        parent_objects={"contract": "Parent__c"},
        scope=AccountFilter(),
    )


def carry(
    org: SalesforceClient, kind: FieldKind, to: str, records: Sequence[bytes], *, large: bool
) -> dict[str, RowResult]:
    """Map, fit and send records, as a run does it."""
    carried = mapping(kind, to)
    try:
        validator = RowValidator(carried, org.describe(OBJECT))
    except SchemaMismatchError:
        reject()  # Such a mapping is refused as a whole.
    row_groups = RowGroups(validator.target, None)
    fates: list[RowResult] = []
    staged = []
    for raw in records:
        found = build_candidate(carried, validator, raw)
        if found and found.rejected:
            fates.append(found.rejected)
        elif found and found.row:
            staged.append(row_groups.staged(RecordHash(found.m3ter_id, b"", b""), found.row))
    for group_key in {row.group_key for row in staged}:
        rows = [row.row for row in staged if row.group_key == group_key]
        only = row_groups.group([group_key], rows, len(rows)).collections_only
        fates += chain.from_iterable(
            org.upsert(validator.target, group(rows, large=large, collections_only=only), Jobs())
        )
    return {fate.m3ter_id: fate for fate in fates}


@settings(max_examples=150)
@given(
    field=st.tuples(st.sampled_from(KINDS), st.sampled_from(list(FIELDS))),
    given_values=st.lists(values | broken, min_size=1, max_size=12),
    large=st.booleans(),
)
@example((FieldKind.TEXT, "Text"), [" #N/A\n", "a\0b", "\x1f x"], True)
@example(
    (FieldKind.NUMBER, "Number"),
    [Json("1e-9999"), Json("-0.0"), Json("1E+11"), "1e99999999999999999"],
    True,
)
@example((FieldKind.NUMBER, "Number"), [Json("1e-9999"), Json("-0.0"), Json("1E+11")], False)
@example(
    (FieldKind.DATETIME, "DateTime"),
    ["2026-01-01T00:00:00.999Z", "1699-12-31T23:59:59-01:00"],
    False,
)
@example((FieldKind.ANY, "Picklist"), [" b c ", True, Json("1"), "B C"], True)
@example((FieldKind.LIST, "Text"), [["a", None, ""], [""], [" "]], False)
@example((FieldKind.LIST, "Choices"), [["A", "b c", "A"], [" A "], ["z"], []], True)
@example((FieldKind.LOOKUP, "Parent"), ["A", " A", "nobody", "", None, "#N/A", "b c"], True)
@example((FieldKind.LOOKUP, "Parent"), ["A", " A", "nobody", "", None, "#N/A", "b c"], False)
@example((FieldKind.ANY, "Time"), ["10:20", "23:59:59.5Z", "24:00:00", Json("10")], True)
@example((FieldKind.ANY, "Parent"), ["A", "1" * 16, True, None], False)
@example((FieldKind.NUMBER, "Number"), [Json("0.1234567890123456789"), Json('"\\ud800"')], True)
@example((FieldKind.TEXT, "Email"), ["Ada@Example.org", " b@c ", "ada", "a@b@c"], False)
@example((FieldKind.LIST, "Email"), [[None], ["Ada@Example.org", None]], False)
@example((FieldKind.TEXT, "EncryptedText"), ["🧾" * 20, "🧾" * 21, "a" * 21], False)
def test_salesforce_stores_the_value_or_the_row_is_listed(
    anything: Anything,
    field: tuple[FieldKind, str],
    given_values: list[object],
    large: bool,
) -> None:
    kind, to = field
    anything.empty()
    records = [
        b'{"id":"r%d","value":%s}' % (number, encode(value))
        for number, value in enumerate(given_values)
    ]
    fates = carry(anything.org, kind, to, records, large=large)
    held = anything.held(to)
    assert set(held) == {key for key, fate in fates.items() if isinstance(fate, Acknowledged)}
    for number, value in enumerate(given_values):
        fate = fates.get(f"r{number}") or next(
            fate for key, fate in fates.items() if key.startswith("unknown-")
        )
        if isinstance(fate, Rejected):
            assert fate.message
            # Of a value alone Salesforce has nothing else to refuse that was not found before.
            assert fate.error_class in {ErrorClass.INVALID, ErrorClass.DEPENDENCY} or (
                (to, fate.code) == ("Email", "INVALID_EMAIL_ADDRESS")
            ), fate
        else:
            assert equals(kind, to, value, held[f"r{number}"]), (value, held[f"r{number}"])
