"""Measures the CPU time of an hour without changes, beside a loop that only pages and decodes.

Run: ``python benchmarks/unchanged_hour.py [ACCOUNTS] [--rounds N]``. Both read the same list from
the stand-in, in turn. The start of a run, with imports, Dagster and the login, is the same run of
an empty organization; it is taken off. PostgreSQL's CPU counts. It needs only the project.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import httpx
from compare import stand_in
from process_figures import Figures, Program, measure
from rich.console import Console
from rich.table import Table
from tools import Postgres, Servers, m3sync_program

LOOP = """\
import sys, httpx, msgspec
client, query, decode = httpx.Client(base_url=sys.argv[1]), {"pageSize": 100}, msgspec.json.decode
while True:
    page = decode(client.get("/organizations/organization/accounts", params=query).content)
    if not page.get("nextToken"):
        break
    query["nextToken"] = page["nextToken"]
"""


def main() -> None:
    """Measure, and print a table with a row for each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    table = Table("start, CPU s", "loop, CPU s", "run, CPU s", "run without start / loop")
    with stand_in() as url, tempfile.TemporaryDirectory(prefix="m3s") as name:
        postgres = Postgres(Path(name) / "postgres")
        folder = Path(name) / "project"
        folder.mkdir()
        with postgres.database() as database:
            run = m3sync_program(Servers(url, url), folder, ("account",), postgres, database)
            loop = Program([sys.executable, "-c", LOOP, url], run.environment, folder)
            _cpu(url, given.accounts, run)  # the first load
            rounds = [
                (_cpu(url, given.accounts, loop), _cpu(url, given.accounts, run))
                for _ in range(given.rounds)
            ]
            no_page, start = _cpu(url, 0, loop), _cpu(url, 0, run)
    for bare, used in rounds:
        ratio = (used - start) / (bare - no_page)
        table.add_row(f"{start:.2f}", f"{bare - no_page:.2f}", f"{used:.2f}", f"{ratio:.2f}")
    Console().print(f"{given.accounts:,} accounts", table)


def _cpu(url: str, accounts: int, program: Program) -> float:
    httpx.post(f"{url}/control", json={"records": accounts}).raise_for_status()
    figures: Figures = measure(program, url)
    if figures.code:
        sys.exit(figures.output)
    return figures.cpu + figures.server_cpu


if __name__ == "__main__":
    main()
