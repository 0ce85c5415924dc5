"""The records that were updated or deleted in a period."""

from datetime import UTC, datetime, timedelta

import pytest

from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, KEY, Client


def period(start: float, end: float) -> dict[str, str]:
    """A period in minutes from now."""
    now = datetime.now(UTC)
    return {
        "start": (now + timedelta(minutes=start)).isoformat(),
        "end": (now + timedelta(minutes=end)).isoformat(),
    }


def test_updated_and_deleted_records(client: Client) -> None:
    kept, removed = (one["id"] for one in client.upsert([{KEY: "a"}, {KEY: "b"}]))
    client.send("DELETE", f"/sobjects/{ACCOUNT}/{removed}")

    updated = client.get(f"/sobjects/{ACCOUNT}/updated", **period(-5, 5)).json()
    deleted = client.get(f"/sobjects/{ACCOUNT}/deleted/", **period(-5, 5)).json()
    assert updated["ids"] == [kept]
    assert [one["id"] for one in deleted["deletedRecords"]] == [removed]
    assert deleted["deletedRecords"][0]["deletedDate"].endswith(".000+0000")
    assert deleted["latestDateCovered"] >= deleted["earliestDateAvailable"]


def test_a_period_before_the_changes(client: Client) -> None:
    removed = client.upsert([{KEY: "a"}, {KEY: "b"}])[1]["id"]
    client.send("DELETE", f"/sobjects/{ACCOUNT}/{removed}")

    updated = client.get(f"/sobjects/{ACCOUNT}/updated", **period(-60, -30)).json()
    deleted = client.get(f"/sobjects/{ACCOUNT}/deleted", **period(-60, -30)).json()
    assert (updated["ids"], deleted["deletedRecords"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (period(-5, -5), "INVALID_REPLICATION_DATE"),
        (period(5, -5), "INVALID_REPLICATION_DATE"),
        (period(-60 * 24 * 31, 0), "INVALID_REPLICATION_DATE"),
        ({"start": "yesterday", "end": "today"}, "MALFORMED_QUERY"),
    ],
)
def test_an_invalid_period(client: Client, query: dict[str, str], code: str) -> None:
    answer = client.get(f"/sobjects/{ACCOUNT}/updated", **query)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
