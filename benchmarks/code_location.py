"""Measures the time and memory that a code location of many integrations needs to load.

Run: ``python benchmarks/code_location.py [INTEGRATIONS ...] [--credentials N]``. Each integration
has four entity types, and each number of them is measured in a process of its own. The first
figures are the work of a code server before it answers, without process start and imports; then
comes the snapshot that is sent to the daemon and the webserver. It needs only the project.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from rich.console import Console
from rich.table import Table

SIZES = [250, 500, 1_000]
CREDENTIALS = """\
type: m3sync_dagster.M3terCredential
attributes:
  name: m3ter_production
"""
SALESFORCE = """\
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce_{}
"""
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: integration_{number}
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_{credential}
  namespace: custom_objects
  start: 2026-11-{day:02}-00:00
  entities:
    account: {{}}
    contract: {{}}
    commitment: {{}}
    balance: {{}}
"""

Result = TypeVar("Result")


def main() -> None:
    """Measure each number of integrations, and print a table with a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integrations", type=int, nargs="*", default=SIZES)
    parser.add_argument("--credentials", type=int, default=1, help="Salesforce credentials")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(_measure()))
        return
    table = Table("integrations", "load, s", "CPU, s", "x", "RSS, MiB", "snapshot, s", "MiB")
    before = (0, 0.0)
    for number in arguments.integrations:
        found = _in_a_process(number, arguments.credentials)
        growth = found["cpu"] / before[1] * before[0] / number if before[0] else 1
        before = (number, found["cpu"])
        table.add_row(
            f"{number:,}",
            f"{found['wall']:.1f}",
            f"{found['cpu']:.1f}",
            f"{growth:.2f}",
            f"{found['rss']:.0f}",
            f"{found['snapshot_cpu']:.1f}",
            f"{found['snapshot_size']:.1f}",
        )
    Console().print(
        table, "x: growth of CPU time divided by growth of the number; 1 is linear.", sep="\n"
    )


def _in_a_process(number: int, credentials: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        write_defs(Path(folder), number, credentials)
        environment = {
            "M3SYNC_DEFS": folder,
            "M3SYNC_POSTGRES_URL": "postgresql://unused@127.0.0.1:1/none",
        }
        command = [sys.executable, __file__, "--inside"]
        found = subprocess.run(  # noqa: S603 - this script
            command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE
        )
    answer: dict[str, float] = json.loads(found.stdout)
    return answer


def write_defs(folder: Path, number: int, credentials: int) -> None:
    """Write a ``defs.yaml`` for each integration; they start on different days."""
    texts = {"credentials": CREDENTIALS + "".join(map(SALESFORCE.format, range(credentials)))}
    for one in range(number):
        texts[f"integration_{one}"] = INTEGRATION.format(
            number=one, credential=one % credentials, day=1 + one % 20
        )
    for name, text in texts.items():
        (folder / name).mkdir()
        (folder / name / "defs.yaml").write_text(text)


def _measure() -> dict[str, float]:
    from m3sync_dagster.definitions import defs  # noqa: PLC0415 - only the child process needs it

    def load() -> dg.RepositoryDefinition:
        repository = defs().get_repository_def()
        repository.load_all_definitions()
        return repository

    repository, wall, cpu = _timed(load)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sent, _, snapshot_cpu = _timed(
        lambda: serialize_value(RepositorySnap.from_def(repository, defer_snapshots=True))
    )
    return {
        "wall": wall,
        "cpu": cpu,
        "rss": rss,
        "snapshot_cpu": snapshot_cpu,
        "snapshot_size": len(sent) / 1024**2,
    }


def _timed(do: Callable[[], Result]) -> tuple[Result, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = do()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
