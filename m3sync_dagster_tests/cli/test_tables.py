"""Tables on terminals of different widths, and the texts in their cells."""

import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import typer

from m3sync_dagster.cli.status import _COLUMNS, NARROW
from m3sync_dagster.cli.time_arguments import parse_duration, parse_time, time_text
from m3sync_dagster.runs.hour_text import hours_text

PROGRAM = """
from m3sync_dagster.cli.output import print_table
print_table("Events", {columns!r}, {rows!r}{more})
"""
COLUMNS = ("id", "event", "integration", "entity", "message", "remedy", "run")
LONG = "the ingest job 750000000000001AAA has made no progress for 20 minutes and was left alone"
RUN = "61ad90fb-14ce-4ea7-93b9-ebd160ae61be"
ROWS = [
    [12, "integration.perform.error", "acme", None, LONG, "See m3sync runs acme [bold]", RUN],
    [3, "integration.validation.error", "acme", "account", "short", "Correct it", RUN],
]


def printed(
    columns: tuple[str, ...], rows: list[list[object]], width: int, more: str = ""
) -> list[str]:
    """The lines that a table has on a terminal of this width."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(columns=columns, rows=rows, more=more)],
        stdout=theirs,
        env={**os.environ, "COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the end of a terminal, on Linux
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert program.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_a_table_fits_its_terminal_and_loses_nothing(width: int) -> None:
    lines = printed(COLUMNS, ROWS, width)
    assert max(map(len, lines)) <= width
    # A cell may be wrapped, but its words are all there.
    words = {word for line in lines for word in line.split()}
    joined = "".join("".join(line.split()) for line in lines)
    assert {"acme", "account", "progress", "[bold]", "short"} <= words
    assert RUN in joined or width == 120


LINK = "https://acme.my.salesforce.com/lightning/r/m3ter_Account__c/a00000000000001AAA/view"
LINKED = """
import sys
from m3sync_dagster.cli.output import Linked, print_table
print_table("Rows", ("m3ter id", "action"), [[Linked({run!r}, {link!r}), "update"]])
"""


@pytest.mark.slow
def test_a_link_is_behind_its_text_and_only_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LINKED.format(run=RUN, link=LINK)]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert f";{LINK}\x1b\\{RUN}\x1b]8;;" in shown
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert RUN in piped
    assert LINK not in piped
    assert "\x1b" not in piped


@pytest.mark.slow
def test_a_row_of_a_table_that_is_too_wide_is_printed_as_lines() -> None:
    narrow, wide = printed(COLUMNS, ROWS, 80), printed(COLUMNS, ROWS, 300)
    assert any(line.split()[:2] == ["event", "integration.perform.error"] for line in narrow)
    assert sum(line.startswith("id ") for line in narrow) == 2
    # What is empty is left out.
    assert sum(line.startswith("entity ") for line in narrow) == 1
    assert any("integration.perform.error" in line and RUN in line for line in wide)


@pytest.mark.slow
def test_the_table_of_the_status_fits_80_columns() -> None:
    cells = ["acme", "CONNECTED: Acme Ltd (00D000000000001, production)", "yes", "RATE_LIMIT_RETRY"]
    cells += ["2026-11-24 17:02 UTC", "2026-11-24 18:02 UTC"]
    rows: list[list[object]] = [[*cells, 0, 3]]
    lines = printed(_COLUMNS, rows, 80, f", readable={NARROW}")
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("acme") for line in lines) == 1
    assert any("2026-11-24" in line and "CONNECTED:" in line for line in lines)


@pytest.mark.slow
def test_a_small_table_stays_a_table_at_80_columns() -> None:
    rows: list[list[object]] = [["acme", "CONNECTED", 7]]
    lines = printed(("name", "connection", "rejected"), rows, 80)
    assert any(line.split() == ["acme", "CONNECTED", "7"] for line in lines)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("2026-11-24-17:00", "2026-11-24 17:00–18:00 UTC"),  # noqa: RUF001 - the sign for a range
        ("2026-11-24-23:00", "2026-11-24 23:00–00:00 UTC"),  # noqa: RUF001
        ("2026-11-24-10:00...2026-11-24-12:00", "2026-11-24 10:00–13:00 UTC"),  # noqa: RUF001
        (
            "2026-11-23-22:00...2026-11-24-01:00",
            "2026-11-23 22:00 – 2026-11-24 02:00 UTC",  # noqa: RUF001
        ),
        ("something else", "something else"),
        (None, None),
    ],
)
def test_hours(key: str | None, text: str | None) -> None:
    assert hours_text(key) == text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24 17:30", datetime(2026, 11, 24, 17, 30, tzinfo=UTC)),
        ("2026-11-24T17:30+02:00", datetime(2026, 11, 24, 15, 30, tzinfo=UTC)),
    ],
)
def test_times(text: str, time: datetime) -> None:
    assert parse_time(text) == time
    assert time_text(time) == f"{time:%Y-%m-%d %H:%M} UTC"


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("3h", timedelta(hours=3)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "3", "h", "0h", "-1h", "1.5h", "3 hours", "9" * 30 + "d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)
