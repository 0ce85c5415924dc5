"""Times as they are typed."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from m3sync_dagster.cli.time_arguments import parse_future_instant

FUTURE = datetime(9000, 12, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["9000-12-24T08:00Z", "9000-12-24 08:00+00:00", "9000-12-24T09:00:00+01:00"]
)
def test_an_instant_that_is_to_come(text: str) -> None:
    assert parse_future_instant(text) == FUTURE


def test_an_instant_is_compared_in_utc() -> None:
    behind = datetime.now(UTC) - timedelta(hours=1)
    text = behind.replace(tzinfo=None).isoformat()
    assert parse_future_instant(f"{text}-02:00") == behind + timedelta(hours=2)
    with pytest.raises(typer.BadParameter, match="is in the past"):
        parse_future_instant(f"{text}+02:00")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("2020-12-24T08:00Z", "is in the past. Give a time that is to come"),
        ("9000-12-24T08:00", "has no offset from UTC. Write it with its offset"),
        ("9000-12-24", "has no offset from UTC"),
        ("9000-13-24T08:00Z", "is not a time. Write it with its offset"),
        ("0001-01-01T00:00+14:00", "is not a time"),
        ("9999-12-31T23:59-14:00", "is not a time"),
        ("tomorrow", "is not a time"),
        ("", "is not a time"),
    ],
)
def test_what_is_no_instant_to_come(text: str, cause: str) -> None:
    with pytest.raises(typer.BadParameter, match=cause):
        parse_future_instant(text)
