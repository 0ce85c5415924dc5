"""Which Salesforce record external mappings say that an account belongs to."""

import json
import tracemalloc
from collections.abc import Sequence

import pytest

from m3sync_dagster.sync.account_link_types import AMBIGUOUS, MALFORMED, NO_LINK, Link, LinkOutcome
from m3sync_dagster.sync.external_mappings import ExternalMappings, _bucket_of, _digest, _place

FIRST, SECOND = "001D000000IRFmaIAH", "001000000000001AAA"
ONE = {"m3terEntity": "Account", "m3terId": "a", "externalSystem": "Salesforce"}


def mapped(*ids: object, **fields: object) -> ExternalMappings:
    mappings = ExternalMappings("Account")
    for one in ids:
        record = ONE | {"externalTable": "Account", "externalId": one} | fields
        mappings.add(json.dumps(record).encode())
    return mappings


@pytest.mark.parametrize(
    ("ids", "link"),
    [
        ([], NO_LINK),
        ([FIRST], Link(LinkOutcome.MATCHED, FIRST)),
        ([FIRST[:15]], Link(LinkOutcome.MATCHED, FIRST)),
        ([FIRST, FIRST[:15], FIRST], Link(LinkOutcome.MATCHED, FIRST)),
        ([FIRST, SECOND], AMBIGUOUS),
        ([FIRST, SECOND, FIRST], AMBIGUOUS),
        ([FIRST, SECOND, "wrong"], AMBIGUOUS),
        (["wrong"], MALFORMED),
        (["wrong", "003D000000IRFma"], MALFORMED),
        (["wrong", FIRST], Link(LinkOutcome.MATCHED, FIRST)),
        ([FIRST, "wrong"], Link(LinkOutcome.MATCHED, FIRST)),
        ([FIRST[:17] + "G"], MALFORMED),
        ([None, 5], NO_LINK),
    ],
)
def test_an_account_has_one_record_or_no_link(ids: Sequence[object], link: Link) -> None:
    assert mapped(*ids).find("a") == link
    assert mapped(*ids).find("b") == NO_LINK


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"externalSystem": "salesforce "}, True),
        ({"externalSystem": "SALESFORCE", "m3terEntity": "ACCOUNT", "externalTable": "x"}, True),
        ({"externalSystem": "NetSuite"}, False),
        ({"externalSystem": "Salesforce Sandbox"}, False),
        ({"m3terEntity": "Contract"}, False),
        ({"m3terId": None}, False),
    ],
)
def test_which_mappings_count(fields: dict[str, object], counts: bool) -> None:
    assert (mapped(FIRST, **fields).find("a") != NO_LINK) == counts


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'"x"', b'{"m3terId": "\xff"}', b"not JSON"])
def test_what_is_no_mapping_is_left_out(raw: bytes) -> None:
    mappings = mapped(FIRST)
    mappings.add(raw)
    assert mappings.find("a") == Link(LinkOutcome.MATCHED, FIRST)


def test_many_mappings_take_few_bytes_and_are_found() -> None:
    number = 50_000
    mappings = ExternalMappings("Account")
    template = json.dumps(ONE | {"externalTable": "", "m3terId": "%d", "externalId": "001%012d"})
    tracemalloc.start()
    for each in range(number):
        mappings.add((template % (each, each)).encode())
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < number * 50
    found = [mappings.find(str(each)) for each in range(number)]
    assert found == [Link(LinkOutcome.MATCHED, f"001{each:012}AAA") for each in range(number)]
    assert mappings.find(str(number)) == NO_LINK


SHARING = ("4", "88", "285")
"""Accounts whose mappings are in one bucket."""


@pytest.mark.parametrize("changed", SHARING)
@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        (FIRST, SECOND, AMBIGUOUS),
        ("wrong", SECOND, Link(LinkOutcome.MATCHED, SECOND)),
        (FIRST, FIRST, Link(LinkOutcome.MATCHED, FIRST)),
    ],
)
def test_a_change_of_an_account_leaves_those_in_its_bucket_as_they_are(
    changed: str, before: str, added: str, after: Link
) -> None:
    assert len({_bucket_of(_digest(one)) for one in SHARING}) == 1
    mappings = ExternalMappings("Account")
    all_before = [(one, before if one == changed else FIRST) for one in SHARING]
    for m3ter_id, external_id in [*all_before, (changed, added)]:
        record = ONE | {"m3terId": m3ter_id, "externalId": external_id}
        mappings.add(json.dumps(record).encode())
    unchanged = Link(LinkOutcome.MATCHED, FIRST)
    assert [mappings.find(one) for one in SHARING] == [
        after if one == changed else unchanged for one in SHARING
    ]


def test_an_id_that_is_not_ascii_is_found() -> None:
    mappings = mapped(FIRST, m3terId="é🧾")
    assert mappings.find("é🧾") == Link(LinkOutcome.MATCHED, FIRST)


DIGEST = b"a" * 12
VALUE = b"cc" + DIGEST + b"cccc"
OTHER = b"b" * 12 + b"c" * 18


@pytest.mark.parametrize(
    ("bucket", "place"),
    [
        (b"", -1),
        (DIGEST + VALUE, 0),
        (OTHER + DIGEST + b"c" * 18, 30),
        (b"b" * 15 + DIGEST + b"c" * 3, -1),
        (b"b" + DIGEST + b"c" * 17 + DIGEST + b"c" * 18, 30),
        # The bytes at 29 are no entry; those at 30 are.
        (b"b" * 29 + b"a" + DIGEST + VALUE, 30),
    ],
)
def test_a_digest_is_looked_for_only_where_an_entry_begins(bucket: bytes, place: int) -> None:
    assert _place(bytearray(bucket), DIGEST) == place
