"""Measures what a link by external mapping costs, beside the same integration without a link.

Run: ``python benchmarks/account_link.py [ACCOUNTS] [--rounds N] [--request-seconds S]``. Three in
five accounts have an external mapping. Each round has, without and with the link in turn: a first
load into an empty org, an hour in which 1 % of the accounts have changed, and an unchanged hour. It
needs only the project.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from compare import stand_in
from process_figures import Figures, Program, answer_of, measure
from rich.console import Console
from rich.table import Table
from tools import Postgres, Servers, m3sync_program

KINDS = {"without": "{}", "with": "{link: {field: Salesforce_Account__c, by: external_mapping}}"}
HOURS = {"first load": {"reset": 1, "revision": 0}, "1 % changed": {"revision": 1}, "unchanged": {}}
HEADINGS = ("hour", "link", "wall, s", "CPU, s", "PostgreSQL, CPU s", "memory, MiB")
WIDTH = 120
"""Characters of a line, so that no column is cut where the output is not a terminal."""
COUNTS = ("m3ter pages", "Salesforce calls", "rows")


def main() -> None:
    """Measure, and print a table for each round, with a row for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--request-seconds", type=float, default=0.0)
    given = parser.parse_args()
    with stand_in() as url, tempfile.TemporaryDirectory(prefix="m3s") as name:
        world = {"records": given.accounts, "request_seconds": given.request_seconds}
        postgres = Postgres(Path(name) / "postgres")
        for number in range(given.rounds):
            table = Table(*HEADINGS, *COUNTS)
            for kind in KINDS:
                folder = Path(name) / f"{kind}-{number}"
                with _program(kind, folder, postgres, url) as program:
                    for hour, change in HOURS.items():
                        figures = _measured(program, url, world | change)
                        _require_links(figures, kind, given.accounts)
                        table.add_row(hour, kind, *_cells(figures))
            title = f"{given.accounts:,} accounts, {given.request_seconds:g} s a request"
            Console(width=WIDTH).print(title, table)


@contextmanager
def _program(kind: str, folder: Path, postgres: Postgres, url: str) -> Iterator[Program]:
    """The process of a run with a database of its own, while the block lasts."""
    folder.mkdir()
    with postgres.database() as database:
        servers, options = Servers(url, url), KINDS[kind]
        yield m3sync_program(servers, folder, ("account",), postgres, database, options=options)


def _measured(program: Program, url: str, control: dict[str, float]) -> Figures:
    httpx.post(f"{url}/control", json=control).raise_for_status()
    figures = measure(program, url)
    if figures.code:
        sys.exit(figures.output)
    return figures


def _require_links(figures: Figures, kind: str, accounts: int) -> None:
    """Make sure that the run has linked the accounts that have a mapping."""
    wanted = accounts - accounts * 3 // 5 if kind == "with" else None
    entities = answer_of(figures.output).get("entities")
    found = entities["account"].get("without_link") if isinstance(entities, dict) else entities
    if found != wanted:
        sys.exit(f"{found} accounts have no link, in place of {wanted}")


def _cells(figures: Figures) -> list[str]:
    counts = figures.counts
    seconds = (figures.wall, figures.cpu, figures.server_cpu)
    counted = (counts["m3ter_pages"], counts["salesforce_calls"], counts["rows"])
    return [*(f"{one:.2f}" for one in seconds), f"{figures.memory:.0f}", *map(str, counted)]


if __name__ == "__main__":
    main()
