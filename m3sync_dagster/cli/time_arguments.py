"""Times and durations in options of commands."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_DURATION = re.compile(r"(\d+)(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str) -> datetime:
    """Read a time such as ``2026-11-24 17:00``; it is UTC if it names no other zone.

    Raises:
        typer.BadParameter: it is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a time. Write it as 2026-11-24 or '2026-11-24 17:00', in UTC."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_future_instant(text: str) -> datetime:
    """Read a time with its offset from UTC, such as ``2026-12-24T08:00Z``, that is to come.

    Raises:
        typer.BadParameter: it is no time, has no offset, or is over.
    """
    remedy = "Write it with its offset from UTC, as 2026-12-24T08:00Z or 2026-12-24T09:00+01:00."
    try:
        moment = datetime.fromisoformat(text)
        instant = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time. {remedy}") from None
    if moment.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} has no offset from UTC. {remedy}")
    if instant <= datetime.now(UTC):
        raise typer.BadParameter(f"{text!r} is in the past. Give a time that is to come.")
    return instant


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``90m``, ``3h`` or ``2d``.

    Raises:
        typer.BadParameter: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if not found or not int(found[1]):
        raise typer.BadParameter(f"{text!r} is not a duration. Write it as 90m, 3h or 2d.")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long.") from None


def time_text(moment: datetime | None) -> str | None:
    """A time for a table, in UTC to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else None


Since = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time, metavar="TIME", help="From this time on, in UTC.", show_default=False
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time, metavar="TIME", help="Before this time, in UTC.", show_default=False
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="List at most so many, the newest first.", show_default=False),
]
