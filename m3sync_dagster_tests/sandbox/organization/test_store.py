from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from m3sync_dagster.sandbox.organization import (
    Organization,
    Query,
    UnknownRecordError,
    VersionConflictError,
)

NOW = "2026-08-01T12:00:00.500Z"


@pytest.fixture
def organization() -> Organization:
    return Organization(clock=lambda: datetime(2026, 8, 1, 12, 0, 0, 500_000, tzinfo=UTC))


def listed(organization: Organization, query: Query) -> tuple[list[str], bool]:
    entries, more = organization.page("accounts", query)
    return [entry.id for entry in entries], more


def test_generate_creates_the_given_numbers_of_records() -> None:
    organization = Organization.generate(1000, contracts=20)
    assert organization.count("accounts") == 1000
    assert organization.count("contracts") == 20
    assert organization.count("balances") == 0


def test_an_added_record_starts_at_version_one_and_is_the_newest(
    organization: Organization,
) -> None:
    first, second = (organization.add("accounts", name=name) for name in "ab")
    assert organization.get("accounts", first) == {
        "id": first,
        "version": 1,
        "name": "a",
        "dtCreated": NOW,
        "dtLastModified": NOW,
    }
    assert listed(organization, Query(10)) == ([second, first], False)


def test_a_change_raises_the_version_and_keeps_the_text_of_every_other_value(
    organization: Organization,
) -> None:
    organization.put_raw("balances", "b", b'{"id":"b","version":7,"amount":10.500,"x":1E+2}')
    organization.change("balances", "b", name="new", rolloverAmount=Decimal("0.10"))
    raw = organization.raw("balances", "b")
    assert b'"amount":10.500,' in raw
    assert b'"x":1E+2,' in raw
    assert b'"rolloverAmount":0.10,' in raw
    assert organization.get("balances", "b")["version"] == 8
    assert organization.get("balances", "b")["dtLastModified"] == NOW


def test_a_transaction_changes_only_the_amount(organization: Organization) -> None:
    raw = b'{"id":"b","version":7,"amount":1234567.12345678}'
    organization.put_raw("balances", "b", raw)
    organization.transact("b", Decimal("-0.00000001"))
    assert organization.raw("balances", "b") == raw.replace(b"678}", b"677}")


def test_an_update_needs_the_current_version_and_removes_fields_that_are_not_given(
    organization: Organization,
) -> None:
    account = organization.add("accounts", name="a", code="A")
    for version in ({}, {"version": 0}, {"version": 2}):
        with pytest.raises(VersionConflictError):
            organization.update("accounts", account, {"name": "b", **version})
    organization.update("accounts", account, {"name": "b", "version": 1})
    record = organization.get("accounts", account)
    assert (record["name"], record["version"], record["dtCreated"]) == ("b", 2, NOW)
    assert "code" not in record


def test_a_removed_record_does_not_exist(organization: Organization) -> None:
    account = organization.add("accounts", name="a")
    organization.remove("accounts", account)
    assert organization.count("accounts") == 0
    with pytest.raises(UnknownRecordError):
        organization.get("accounts", account)
    with pytest.raises(UnknownRecordError):
        organization.remove("accounts", account)


def test_an_unknown_type_is_refused(organization: Organization) -> None:
    with pytest.raises(UnknownRecordError, match="no creditnotes"):
        organization.add("creditnotes")


@pytest.mark.parametrize("raw", [b"null", b"[]", b'{"id":5,"version":"x"}', b'{"code":{}}'])
def test_any_json_can_be_a_record(organization: Organization, raw: bytes) -> None:
    organization.put_raw("accounts", "a", raw)
    assert organization.raw("accounts", "a") == raw
    assert listed(organization, Query(5)) == (["a"], False)


def test_text_that_is_not_json_cannot_be_a_record(organization: Organization) -> None:
    with pytest.raises(msgspec.DecodeError):
        organization.put_raw("accounts", "a", b"{")


@pytest.mark.parametrize("odd", [b'"\\ud83d"', b'"\xff"', b'"\x00"', b"NaN"])
def test_json_that_a_strict_decoder_refuses_can_be_a_record(
    organization: Organization, odd: bytes
) -> None:
    raw = b'{"code":"c","name":%s}' % odd
    organization.put_raw("accounts", "a", raw)
    assert organization.raw("accounts", "a") == raw
    of_code = Query(5, filters=(lambda keys: keys.code == "c",))
    assert listed(organization, of_code) == (["a"], False)


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        (Query(2), "ed", True),
        (Query(5), "edcba", False),
        (Query(2, before=4), "cb", True),
        (Query(2, before=3), "ba", False),
        (Query(2, before=1), "", False),
        (Query(2, before=4, shift=1), "dc", True),
        (Query(2, before=4, shift=-1), "ba", False),
        (Query(2, shift=9), "ed", True),
        (Query(2, shift=-9), "", False),
        (Query(9, ids=["d", "a", "a", "unknown"]), "da", False),
        (Query(1, ids=["d", "a"]), "d", True),
        (Query(2, filters=(lambda keys: keys.code in "ace",)), "ec", True),
        (Query(3, filters=(lambda keys: keys.code in "ace",)), "eca", False),
    ],
)
def test_pages(organization: Organization, query: Query, expected: str, more: bool) -> None:
    for name in "abcde":
        organization.put_raw("accounts", name, b'{"code":"%s"}' % name.encode())
    assert listed(organization, query) == (list(expected), more)


def test_paging_continues_after_records_are_created_and_deleted(
    organization: Organization,
) -> None:
    for name in "abcde":
        organization.put_raw("accounts", name, b"{}")
    entries, _ = organization.page("accounts", Query(2))
    organization.put_raw("accounts", "f", b"{}")
    organization.remove("accounts", "d")
    organization.remove("accounts", "c")
    assert listed(organization, Query(9, before=entries[-1].sequence)) == (["b", "a"], False)


@pytest.mark.parametrize("entity", ["accounts", "contracts", "commitments", "balances", "users"])
def test_change_some_changes_only_that_share(entity: str) -> None:
    organization, twin = Organization.sample(), Organization.sample()
    changed = organization.change_some(0.25, entity)
    assert len(changed) == round(0.25 * organization.count(entity))
    for one in organization.ids(entity):
        before, after = twin.get(entity, one), organization.get(entity, one)
        assert after["version"] - before["version"] == (one in changed)
        audit = {"version", "dtLastModified"}
        differing = {name for name in after if after[name] != before.get(name)} - audit
        assert len(differing) == (one in changed)
    assert twin.change_some(0.25, entity) == changed
