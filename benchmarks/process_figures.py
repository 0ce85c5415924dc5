"""Measures a program: time, CPU and memory of its processes, and what the stand-in has counted."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypedDict

import httpx
import psutil

INTERVAL = 0.1
"""Seconds between two readings of the memory."""
LONGEST = 900.0
"""Seconds after which a program is stopped."""
MIB = 1024**2


class Counts(TypedDict):
    """The stand-in's counts of one run; ``unknown`` has the requests that it does not serve."""

    m3ter_pages: int
    salesforce_calls: int
    rows: int
    bytes_sent: int
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of a program.

    Args:
        wall: seconds from the start of its process to its end.
        cpu: CPU seconds of its processes.
        memory: the most MiB that all its processes held at the same time.
        server_cpu, server_memory: the same of the PostgreSQL server, if it uses one. Memory that
            PostgreSQL's processes share is counted once.
        counts: the stand-in's counts.
        code: the exit code.
        output: what it has printed.
    """

    wall: float
    cpu: float
    memory: float
    server_cpu: float
    server_memory: float
    counts: Counts
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Program:
    """A command with its environment, and the PostgreSQL server that works for it."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    server: int | None = None


class _Memory(threading.Thread):
    """Reads the memory of a process tree and of a server until it is stopped."""

    def __init__(self, process: psutil.Process, server: psutil.Process | None) -> None:
        super().__init__(daemon=True)
        self._process, self._server = process, server
        self._stopped = threading.Event()
        self.most = self.most_of_server = 0

    def run(self) -> None:
        while True:
            together = sum(one.rss for one in _memory(self._process))
            self.most = max(self.most, together, _peak(self._process.pid))
            if self._server:
                shared_once = sum(
                    getattr(one, "pss", 0) for one in _memory(self._server, full=True)
                )
                self.most_of_server = max(self.most_of_server, shared_once)
            if self._stopped.wait(INTERVAL):
                return

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _memory(root: psutil.Process, *, full: bool = False) -> list[psutil._ntuples.pmem]:
    found = []
    for process in _tree(root):
        try:
            found.append(process.memory_full_info() if full else process.memory_info())
        except psutil.Error:
            continue
    return found


def _peak(process_id: int) -> int:
    """The most bytes that a process has held; 0 where the system does not say.

    ``ru_maxrss`` is no help: a new process begins with the memory of the one that has started it.
    """
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(line[1]) * 1024 for line in lines), 0)


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def measure(program: Program, stand_in: str) -> Figures:
    """Run a program to its end.

    Args:
        program: what to run.
        stand_in: the URL of the stand-in, whose counts begin again before.
    """
    httpx.post(f"{stand_in}/control", json={}).raise_for_status()
    server = psutil.Process(program.server) if program.server else None
    cpu_before = server_cpu(server)
    with TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - programs of this comparison
            program.command,
            env=program.environment,
            cwd=program.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        memory = _Memory(psutil.Process(process.pid), server)
        memory.start()
        timer = threading.Timer(LONGEST, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        timer.cancel()
        memory.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    counts: Counts = httpx.get(f"{stand_in}/control").raise_for_status().json()
    return Figures(
        wall=wall,
        cpu=used.ru_utime + used.ru_stime,
        memory=memory.most / MIB,
        server_cpu=server_cpu(server) - cpu_before,
        server_memory=memory.most_of_server / MIB,
        counts=counts,
        code=process.returncode,
        output=printed,
    )


def server_cpu(server: psutil.Process | None) -> float:
    """CPU seconds of a server's processes, of those that have ended too."""
    seconds = 0.0
    for process in _tree(server) if server else ():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def answer_of(printed: str) -> dict[str, object]:
    """The last JSON object that a program has printed, which begins at a line's start."""
    text = f"\n{printed.strip()}"
    try:
        answer: dict[str, object] = json.loads(text[text.rindex("\n{") :])
    except ValueError:
        return {"error": text[-300:]}
    return answer
