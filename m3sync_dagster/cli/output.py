"""What commands write: JSON or tables on standard output, everything else on standard error."""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, to standard output.")
]
"""The option ``--json`` of every command that prints data."""

SHORT = 12
"""Characters up to which a table's cell is never broken in two."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


def escape_unknown_characters() -> None:
    """Let the terminal's streams escape a character that their encoding lacks.

    Otherwise it would end the command, in the midst of what it prints.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(data: object) -> None:
    """Print data to standard output; decimals are numbers with exactly their digits."""
    text = msgspec.json.format(_ENCODE(data), indent=2).decode()
    sys.stdout.write(_encodable(text) + "\n")


def _encodable(json: str) -> str:
    """JSON whose characters the standard output has; others are escaped as JSON has it."""
    try:
        json.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _NOT_ASCII.sub(lambda found: dumps(found[0])[1:-1], json)
    return json


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to standard output. Numbers are set to the right, ``None`` is left empty."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for place, name in enumerate(columns):
        cells = [row[place] for row in rows if row[place] is not None]
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=_least_width(name, cells),
        )
    for row in rows:
        # As text, so that a value with brackets in it is not taken for markup.
        table.add_row(*("" if cell is None else Text(str(cell)) for cell in row))
    # Where nobody looks at it, nothing is to be wrapped.
    console = Console() if sys.stdout.isatty() else Console(width=1_000)
    console.print(table)


def _least_width(name: str, cells: Sequence[object]) -> int:
    """No word of a heading, and no short cell, is broken in two."""
    words = [len(word) for word in name.split()]
    return max([*words, *(size for cell in cells if (size := len(str(cell))) <= SHORT)], default=1)


def complain(message: str) -> None:
    """Say in red on standard error what is wrong."""
    _errors().print(message, style="red", markup=False, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Say something on standard error."""
    _errors().print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator["Progress"]:
    """Bars on standard error while the block lasts; invisible where that is no terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = _errors()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bars:
        yield bars


class EntityBars:
    """One bar for each entity that is at work; m3ter does not say how many records there are.

    Args:
        bars: where they are shown.
    """

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._tasks: dict[str, object] = {}

    def show(self, entity: str, told: str) -> None:
        """Say how far an entity is."""
        for name, task in self._tasks.items():
            if name != entity:
                self._bars.update(task, total=1, completed=1)  # type: ignore[arg-type] # rich's TaskID
        if entity not in self._tasks:
            self._tasks[entity] = self._bars.add_task(entity, total=None, told=told)
        self._bars.update(self._tasks[entity], told=told)  # type: ignore[arg-type] # as above


def _errors() -> Console:
    return Console(stderr=True)
