"""The bills that decide for their line items."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.mapped_records import Mapped, Unmapped
from m3sync_dagster.sync.parents_in_scope import ParentsInScope
from m3sync_dagster.sync.record_scope import with_scope_of
from m3sync_dagster_tests.sync.conftest import Listed, Record, mapping

BILL = ENTITIES["bill"]


def bill(
    m3ter_id: str, status: object = "APPROVED", account: object = "a", **more: object
) -> bytes:
    return json.dumps({"id": m3ter_id, "status": status, "accountId": account, **more}).encode()


def parents(*raws: bytes, scope: AccountFilter | None = None) -> ParentsInScope:
    return ParentsInScope(BILL, scope or AccountFilter(), BILL.final_when, lambda: [raws])


@pytest.mark.parametrize(
    ("raws", "admitted", "final", "unlisted"),
    [
        ([bill("b")], True, True, True),
        ([bill("b", "PENDING")], True, False, True),
        ([bill("b", "PENDING", locked=True)], True, True, True),
        ([bill("b", "PENDING", locked="true")], True, False, True),
        ([bill("b", "WITHDRAWN")], True, False, True),
        ([bill("b", None)], True, False, True),
        ([bill("b", ["APPROVED"])], True, False, True),
        ([b'{"id": "b", "status": "APPROVED", "status": "PENDING"}'], True, False, True),
        ([bill("b", account="restricted")], False, False, False),
        ([bill("other")], False, False, None),
        ([], False, False, None),
        ([b"not JSON", b'"text"', b'{"id": 1}', bill("b")], True, True, True),
        # One that changes between two pages may be listed twice: the next run decides.
        ([bill("b", "PENDING"), bill("b")], True, False, True),
        ([bill("b"), bill("b", "PENDING")], True, False, True),
    ],
)
def test_what_a_parent_decides(
    raws: list[bytes], *, admitted: bool, final: bool, unlisted: bool | None
) -> None:
    found = parents(*raws, scope=AccountFilter(restricted=frozenset({"restricted"})))
    assert found.admits("b") is admitted
    assert found.is_final("b") is final
    assert found.admits_unlisted("b") is unlisted


def test_a_list_that_breaks_off_decides_nothing() -> None:
    def pages() -> Iterator[list[bytes]]:
        yield [bill("b")]
        raise RemoteError("the line is dead", "Try again.")

    found = ParentsInScope(BILL, AccountFilter(), BILL.final_when, pages)
    for _ in range(2):
        with pytest.raises(RemoteError):
            found.admits("b")


def test_parents_are_read_once_and_not_before_they_are_needed() -> None:
    reads: list[str] = []

    def pages() -> list[list[bytes]]:
        reads.append("read")
        return [[bill("b")]]

    found = ParentsInScope(BILL, AccountFilter(), BILL.final_when, pages)
    assert reads == []
    found.read()
    assert reads == ["read"]
    assert found.admits("b")
    assert reads == ["read"]


def test_a_parent_takes_few_bytes() -> None:
    count = 20_000
    found = ParentsInScope(
        BILL,
        AccountFilter(),
        BILL.final_when,
        lambda: ([bill(f"b{page}-{one}") for one in range(100)] for page in range(count // 100)),
    )
    tracemalloc.start()
    try:
        found.read()
        assert found.admits("b0-0")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 40 * count


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"billId": "b"}, Mapped),
        ({}, Unmapped),
        ({"billId": None}, Unmapped),
        ({"billId": 7}, Unmapped),
        ({"billId": "unknown"}, type(None)),
    ],
)
def test_a_line_item_without_a_bill_is_invalid_and_one_of_another_bill_out_of_scope(
    record: Record, kind: type
) -> None:
    source = Listed([json.loads(bill("b"))])
    built = with_scope_of(mapping("bill_line_item"), source, None)
    raw = json.dumps({"id": "i", **record}).encode()
    found = built.map(raw)
    assert type(found) is kind
    assert (built.scope_of(raw) is None) is (found is None)
    if isinstance(found, Unmapped):
        assert "billId: it names no bill, which is needed" in found.rejected.message
        assert found.final
