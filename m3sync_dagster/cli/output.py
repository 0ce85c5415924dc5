"""Output of commands: JSON or tables on standard output, messages on standard error."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from m3sync_dagster.sync.printable_text import escaped_json, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
"""The option ``--json`` of every command that prints data."""

SHORT = 12
"""Up to this number of characters a table's cell is never wrapped."""

READABLE = 20
"""A longer text is wrapped to this number of characters at the least."""

WIDE = 1_000
"""Characters of a line where standard output is not a terminal."""

LONGEST_VALUE = 60
"""Characters of a field's value that a table shows."""

_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""How a formula begins; the last four are the same characters in their wide form."""
_BLANK = frozenset("\t\r\n")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Linked:
    """A table's cell with a link, which a terminal opens on a click if it can.

    Args:
        text: what is printed.
        url: the address; ``None`` for no link.
    """

    text: str
    url: str | None

    def __str__(self) -> str:
        return self.text


def escape_unknown_characters() -> None:
    """Make standard output and error escape characters that their encoding lacks.

    Otherwise such a character ends the command with an error while it prints.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(data: object) -> None:
    """Print data to standard output; decimals are numbers with exactly their digits."""
    text = msgspec.json.format(_ENCODE(data), indent=2).decode()
    sys.stdout.write(_encodable(escaped_json(text)) + "\n")


def _encodable(json: str) -> str:
    """JSON in which characters that standard output lacks are escaped in JSON's way."""
    try:
        json.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _NOT_ASCII.sub(lambda match: dumps(match[0])[1:-1], json)
    return json


def print_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print CSV for a spreadsheet, with a heading, to standard output.

    ``None`` is an empty cell. A text that a spreadsheet could take for a formula gets an apostrophe
    before it.

    Source: OWASP, "CSV Injection".
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)


def _csv_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    return f"'{text}" if cell[:1] in _BLANK or text.lstrip()[:1] in _FORMULA else text


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    readable: int = READABLE,
) -> None:
    """Print a table to standard output. Numbers are right-aligned, ``None`` is an empty cell.

    On a terminal that is too narrow for it, each row is printed as lines of a name and a value.

    Args:
        title: printed above it.
        columns: the headings.
        rows: the cells of each row.
        readable: a long text is wrapped to this number of characters at the least.
    """
    # Output that is not a terminal is read by programs, so nothing is wrapped.
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    title = printable(title)
    table = _table(title, columns, rows, readable)
    # A blank between two columns; rich itself takes no word of a cell for divisible.
    needed = sum(column.min_width or 0 for column in table.columns) + len(columns) - 1
    if needed <= console.width:
        console.print(table)
    else:
        _print_expanded(console, title, columns, rows)


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], readable: int
) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for place, name in enumerate(columns):
        cells = [row[place] for row in rows if row[place] is not None]
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=_least_width(name, cells, readable),
        )
    for row in rows:
        # As text, so that a value with brackets in it is not taken for markup.
        table.add_row(*("" if cell is None else _text(cell) for cell in row))
    return table


def _text(cell: object) -> Text:
    """A cell as text; Rich writes a link only to a terminal."""
    link = Style(link=cell.url) if isinstance(cell, Linked) and cell.url else ""
    return Text(printable(str(cell)), style=link)


def _print_expanded(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Print each row as lines of a name and a value; empty cells are left out."""
    console.print(Text(title, style="italic"))
    for row in rows:
        grid = Table.grid(padding=(0, 1))
        grid.add_column()
        grid.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            if cell is not None:
                grid.add_row(Text(name, style="bold"), _text(cell))
        console.print()
        console.print(grid)


def _least_width(name: str, cells: Sequence[object], readable: int) -> int:
    """The width at which no word of the heading and no short cell is wrapped.

    A long text gets a width at which it can be read.
    """
    short = min(SHORT, readable)
    words = [len(word) for word in name.split()]
    sizes = [len(str(cell)) for cell in cells]
    return max([*words, *(size if size <= short else min(size, readable) for size in sizes)])


def shorten(value: object) -> str | None:
    """A field's value on one line, cut if it is long."""
    if value is None:
        return None
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def print_error(message: str) -> None:
    """Print an error message in red to standard error."""
    text = printable(message)
    _errors().print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def print_message(message: str) -> None:
    """Print a message to standard error."""
    _errors().print(printable(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator["Progress"]:
    """Progress bars on standard error while the block lasts; only if that is a terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = _errors()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bars:
        yield bars


class EntityBars:
    """One progress bar for each entity, without a total: m3ter does not report one.

    Args:
        bars: the progress display.
    """

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def show(self, entity: str, status: str) -> None:
        """Show the progress of an entity, and complete the bars of the others."""
        for name, task in self._tasks.items():
            if name != entity:
                self._bars.update(task, total=1, completed=1)
        if entity not in self._tasks:
            self._tasks[entity] = self._bars.add_task(entity, total=None, status=status)
        self._bars.update(self._tasks[entity], status=status)


def _errors() -> Console:
    return Console(stderr=True)
