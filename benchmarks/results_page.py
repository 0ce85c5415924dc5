"""Writes ``benchmarks/RESULTS.md`` from what was measured."""

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil
from process_figures import Figures
from tools import M3SYNC, ROOT, version_of

METHOD = """\
This file is written by the command above, and by nothing else.

- **Same work.** Each tool runs in a process of its own, against one stand-in server in another
  process, whose CPU does not count. It carries the same records to the same columns, by upsert on
  the same external ID. The others do not read m3ter: in their process a plain `httpx` loop reads
  the pages, one after another, and a dict literal maps each record (`benchmarks/rival.py`).
  drt-core reads from a database: its process first fills a SQLite file, which counts.
- **Not the same result.** m3sync validates each row, and records it in PostgreSQL and its run in
  Dagster. The others do neither. kinetic-core and simple-salesforce read the result sets, as m3sync
  does; drt-core reads that of failed rows, if there are any; lht reads none.
- **Settings.** One ingest job for each entity; lht with `clear_nulls`. All wait for a job with
  m3sync's pauses: 0.1 s, then 1.5 times as long each time, up to 15 s. Otherwise the default pauses
  would decide the wall time; one table shows them. m3sync has no limit of requests here
  (`requests_per_second`), as the others have none.
- **Latency.** None; or 80 ms for each request to m3ter or Salesforce, 3 s for an ingest job, and
  1 s for a call of sObject Collections, which m3sync uses for up to 2,000 rows.
- **In turn.** The tools take turns, round by round; the rounds of a case are spread over the whole
  time. Each begins with an empty org and an empty database; for the four entities, m3sync has done
  a first load before. A figure is the median of the rounds, with the least and the most in
  brackets, and with their number where there is one alone. "x" is that median divided by m3sync's:
  above 1, m3sync needs less. If the machine has other work, CPU is more reliable than wall time.
- **Wall and CPU** are those of the whole process, from its start to its end. "Less start" is the
  wall time without that of the same command for an empty organization (the first table): imports,
  and for m3sync also Dagster and the login. Where the start took longer, it is left out.
- **m3sync's CPU** includes PostgreSQL's, which is also named alone. **Memory** is the most of all
  processes of the tool at the same time; PostgreSQL's follows after a plus, since it is a server
  that may be elsewhere.
"""
ANSWERS = """\
Each answer comes from runs against m3sync's sandbox, whose records are read afterwards. Each tool
gets the values as m3ter has them; who calls a library can also write `#N/A` into a cell, which
clears the field.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One tool in one phase of a case: the figures of each round.

    ``problem`` is what was not as it should be, if anything.
    """

    case: str
    phase: str
    tool: str
    figures: list[Figures]
    problem: str | None


@dataclass(slots=True)
class Page:
    """All that the page shows.

    Args:
        command: the command that has measured it.
        measured: the comparison, in the order of the page.
        missing: the tools that could not be installed, with the error.
        correctness: each tool's answer, in the order of the tools, to each question.
        project: the output of the project's own benchmarks, by command.
        minutes: how long it took.
    """

    command: str
    measured: list[Measured] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    correctness: dict[str, list[str]] = field(default_factory=dict)
    project: dict[str, str] = field(default_factory=dict)
    minutes: float = 0.0


def write(page: Page, path: Path, tools: list[str]) -> None:
    """Write the page."""
    path.write_text("\n".join(_lines(page, tools)) + "\n")


def _lines(page: Page, tools: list[str]) -> Iterator[str]:
    yield from ("# Results of the benchmarks", "", f"    {page.command}", "", METHOD)
    yield from _machine(page, tools)
    yield from comparison(page.measured)
    yield from ("", "## What happens to nulls, rejects, failed jobs and a kill", "")
    yield ANSWERS
    yield from table(["", *tools], ([q, *answers] for q, answers in page.correctness.items()))
    for command, output in page.project.items():
        yield from ("", f"## `{command}`", "", "```", output.rstrip(), "```")


def _machine(page: Page, tools: list[str]) -> Iterator[str]:
    yield from ("## Machine and versions", "")
    memory = psutil.virtual_memory().total / 1024**3
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.release()}"
    yield f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; it took {page.minutes:.0f} minutes"
    yield f"- {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {system}"
    yield f"- load average at the end: {load} (1, 5 and 15 minutes; a quiet machine has below 2)"
    yield f"- Python {platform.python_version()}, m3sync at commit {_commit()}"
    yield f"- {', '.join(f'{tool} {version_of(tool)}' for tool in tools)}"
    for tool, error in page.missing.items():
        yield f"- {tool} could not be installed: {error}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - git
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


HEAD = [
    "tool",
    "wall, s",
    "x",
    "less start, s",
    "x",
    "CPU, s",
    "x",
    "memory, MiB",
    "Salesforce calls",
    "rows",
    "MB sent",
]


def comparison(measured: list[Measured]) -> Iterator[str]:
    """A heading and a table for each phase of each case."""
    first = measured[0].case if measured else ""
    start = {one.tool: _median(one, "wall") for one in measured if one.case == first}
    for case, phase in dict.fromkeys((one.case, one.phase) for one in measured):
        of_phase = [one for one in measured if (one.case, one.phase) == (case, phase)]
        ours = next((one for one in of_phase if one.tool == M3SYNC), None)
        yield from ("", f"## {case}: {phase}" if case != first else f"## {case}", "")
        yield from table(HEAD, (_row(one, ours, start) for one in of_phase))
        for one in of_phase:
            if one.problem:
                yield from ("", f"**{one.tool} did not do this as it should**: {one.problem}")


def _row(one: Measured, ours: Measured | None, start: dict[str, float]) -> list[str]:
    wall, cpu = _median(one, "wall"), _cpu(one)
    less = max(wall - start.get(one.tool, 0.0), 0.0)
    our_wall = _median(ours, "wall") if ours else 0.0
    our_less = max(our_wall - start.get(M3SYNC, 0.0), 0.0)
    newest = one.figures[-1]
    return [
        one.tool,
        _spread(figures.wall for figures in one.figures),
        _ratio(wall, our_wall),
        f"{less:.1f}" if less else "",
        _ratio(less, our_less),
        _spread(figures.cpu + figures.server_cpu for figures in one.figures)
        + (f", PostgreSQL {_median(one, 'server_cpu'):.1f}" if one.tool == M3SYNC else ""),
        _ratio(cpu, _cpu(ours) if ours else 0.0),
        f"{_median(one, 'memory'):.0f}"
        + (f" + {_median(one, 'server_memory'):.0f}" if one.tool == M3SYNC else ""),
        f"{newest.counts['salesforce_calls']:,}",
        f"{newest.counts['rows']:,}",
        f"{newest.counts['bytes_sent'] / 1e6:.2f}",
    ]


def _median(one: Measured, name: str) -> float:
    return median(getattr(figures, name) for figures in one.figures)


def _cpu(one: Measured) -> float:
    return median(figures.cpu + figures.server_cpu for figures in one.figures)


def _ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.2f}" if ours else ""


def _spread(values: Iterable[float]) -> str:
    found = sorted(values)
    if len(found) == 1:
        return f"{found[0]:.1f} (1 round)"
    return f"{median(found):.1f} ({found[0]:.1f} to {found[-1]:.1f})"


def table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """A Markdown table; bars and line ends in a cell are replaced."""
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in row)} |"
