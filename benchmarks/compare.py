"""Compares m3sync with other tools that write to Salesforce, and writes ``benchmarks/RESULTS.md``.

Run: ``make bench``, or ``make bench QUICK=1`` for a short one. ``--million`` adds 1,000,000
accounts, by m3sync alone, and ``--hour N`` an hour of the scheduler with N integrations. Each tool
runs in a process of its own against the same stand-in, which is a process too. The tools take
turns: each case has one round at least, and as many more as ``--minutes`` allows.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from correctness import check_tools
from process_figures import Figures, Program, answer_of, measure
from project_benchmarks import measure_project
from results_page import Measured, Page, write
from tools import (
    ALL_ENTITIES,
    M3SYNC,
    Postgres,
    Servers,
    install,
    m3sync_program,
    rival_program,
    rivals,
)

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
ZERO = {"request_seconds": 0.0, "job_seconds": 0.0, "collection_seconds": 0.0}
REALISTIC = {"request_seconds": 0.08, "job_seconds": 3.0, "collection_seconds": 1.0}
FIRST, CHANGED, UNCHANGED = "first load", "1 % changed", "nothing changed"
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What every tool does, one after another.

    Args:
        title: its heading.
        records: the number of records of each entity.
        phases: the runs of a tool, one after another in the same org.
        latencies: those of the stand-in.
        entities: what is carried.
        own_pauses: whether rivals wait for jobs as they do by default.
        prepared: whether m3sync first does a run that is not measured. The others keep nothing from
            one run to the next.
        tools: those that take part, if not all.
    """

    title: str
    records: int
    phases: tuple[str, ...]
    latencies: dict[str, float] = field(default_factory=lambda: ZERO)
    entities: tuple[str, ...] = ("account",)
    own_pauses: bool = False
    prepared: bool = False
    tools: tuple[str, ...] | None = None


def cases(*, quick: bool, million: bool) -> Iterator[Case]:
    """The cases of a comparison."""
    all_phases = (FIRST, CHANGED, UNCHANGED)
    small, medium, large = (1_000, 500, 5_000) if quick else (10_000, 5_000, 100_000)
    yield Case("Start: an empty organization", 0, (FIRST,))
    yield Case(f"{small:,} accounts, no latency", small, all_phases)
    yield Case(f"{large:,} accounts, no latency", large, (FIRST, CHANGED))
    yield Case(f"{medium:,} accounts, realistic latency", medium, (FIRST, CHANGED), REALISTIC)
    quarter = medium // 4
    four = f"Four entities of {quarter:,}, realistic latency"
    yield Case(four, quarter, (UNCHANGED,), REALISTIC, entities=ALL_ENTITIES, prepared=True)
    default = f"{medium:,} accounts, realistic latency, default pauses between two polls"
    yield Case(default, medium, (FIRST,), REALISTIC, own_pauses=True)
    if million:
        only = (M3SYNC,)
        yield Case("1,000,000 accounts, no latency", 1_000_000, all_phases, tools=only)


class Rounds:
    """The rounds of one case: the figures of each phase and tool."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.seconds = 0.0
        """How long the last round took."""
        self._figures: dict[tuple[str, str], list[Figures]] = {}

    def add(self, phase: str, tool: str, figures: Figures) -> None:
        """Keep the figures of one run."""
        self._figures.setdefault((phase, tool), []).append(figures)

    def measured(self) -> list[Measured]:
        """All figures, phase by phase, with what was not as it should be."""
        expected = self.case.records * len(self.case.entities)
        by_phase = sorted(self._figures.items(), key=lambda one: self.case.phases.index(one[0][0]))
        return [
            Measured(
                self.case.title, phase, tool, of_tool, problem_of(of_tool, tool, phase, expected)
            )
            for (phase, tool), of_tool in by_phase
        ]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs cases with the tools that could be installed."""

    stand_in: str
    tools: list[str]
    postgres: Postgres

    def run_round(self, rounds: Rounds) -> None:
        """Let each tool do a case once, in turn."""
        case, begun = rounds.case, time.monotonic()
        for tool in self.tools:
            if case.tools is not None and tool not in case.tools:
                continue
            for phase, figures in self._round(case, tool):
                rounds.add(phase, tool, figures)
                print(f"{case.title}: {tool}, {phase}: {_shown(figures)}", flush=True)
        rounds.seconds = time.monotonic() - begun

    def _round(self, case: Case, tool: str) -> Iterator[tuple[str, Figures]]:
        self._control({"records": case.records, "revision": 0, "reset": 1} | case.latencies)
        with self._program(case, tool) as program:
            if case.prepared and tool == M3SYNC:
                measure(program, self.stand_in)
            for phase in case.phases:
                if phase == CHANGED:
                    self._control({"revision": 1})
                yield phase, measure(program, self.stand_in)

    def _control(self, change: dict[str, float]) -> None:
        httpx.post(f"{self.stand_in}/control", json=change, timeout=60).raise_for_status()

    @contextlib.contextmanager
    def _program(self, case: Case, tool: str) -> Iterator[Program]:
        servers = Servers(self.stand_in, self.stand_in)
        with tempfile.TemporaryDirectory(prefix="m3s") as name:
            folder = Path(name)
            if tool != M3SYNC:
                pauses = case.own_pauses
                yield rival_program(tool, servers, folder, case.entities, own_pauses=pauses)
                return
            with self.postgres.database() as url:
                yield m3sync_program(servers, folder, case.entities, self.postgres, url)


def _shown(figures: Figures) -> str:
    return (
        f"{figures.wall:.1f} s, CPU {figures.cpu + figures.server_cpu:.1f} s, "
        f"{figures.memory:.0f} MiB, {figures.counts['rows']} rows"
    )


def problem_of(figures: list[Figures], tool: str, phase: str, expected: int) -> str | None:
    """What was not as it should be: an error, or another number of rows than expected."""
    if tool == M3SYNC and phase == CHANGED:
        expected = -(-expected // 100)
    elif tool == M3SYNC and phase == UNCHANGED:
        expected = 0
    for one in figures:
        error = answer_of(one.output).get("error")
        if one.code or error:
            return f"exit code {one.code}: {error or one.output[-200:]}"
        if one.counts["unknown"]:
            return f"not served: {one.counts['unknown']}"
        if one.counts["rows"] != expected:
            return f"{one.counts['rows']} rows in place of {expected}"
    return None


@contextlib.contextmanager
def stand_in() -> Iterator[str]:
    """The stand-in's process while the block runs; gives its URL."""
    command = [sys.executable, str(HERE / "stand_in.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.terminate()


def main() -> None:
    """Install the rivals, run every case, and write the results."""
    given = _arguments()
    begun = time.monotonic()
    page = Page(command=" ".join(["python benchmarks/compare.py", *sys.argv[1:]]))
    tools = [M3SYNC]
    for tool in rivals():
        print(f"installing {tool}", flush=True)
        if error := install(tool):
            page.missing[tool] = error
        else:
            tools.append(tool)
    all_rounds = [Rounds(case) for case in cases(quick=given.quick, million=given.million)]
    with stand_in() as url, tempfile.TemporaryDirectory(prefix="m3s") as folder:
        comparison = Comparison(url, tools, Postgres(Path(folder) / "postgres"))
        for rounds in all_rounds:
            comparison.run_round(rounds)
        page.correctness = check_tools(tools, comparison.postgres)
        page.project = measure_project(quick=given.quick, hour=given.hour)
        minutes = given.minutes or (4 if given.quick else 15)
        _run_again(comparison, all_rounds, begun + 60 * minutes)
    page.measured = [one for rounds in all_rounds for one in rounds.measured()]
    page.minutes = (time.monotonic() - begun) / 60
    write(page, given.output, tools)
    print(f"{given.output} is written, after {page.minutes:.1f} minutes")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records and integrations")
    parser.add_argument("--million", action="store_true", help="1,000,000 accounts too")
    parser.add_argument("--hour", type=int, help="an hour of so many integrations, see hour.py")
    parser.add_argument("--minutes", type=float, help="time in which further rounds may begin")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the file to write")
    return parser.parse_args()


def _run_again(comparison: Comparison, all_rounds: list[Rounds], deadline: float) -> None:
    """Run further rounds of each case, while they are expected to end in time."""
    for _ in range(MOST_ROUNDS - 1):
        for rounds in all_rounds:
            if time.monotonic() + rounds.seconds < deadline:
                comparison.run_round(rounds)


if __name__ == "__main__":
    main()
