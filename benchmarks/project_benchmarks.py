"""Runs the benchmarks that need only the project, and takes what they print."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def measure_project(*, quick: bool, hour: int | None) -> dict[str, str]:
    """The output of each benchmark, by its command.

    Args:
        quick: with fewer integrations.
        hour: the number of integrations of a simulated hour; ``None`` leaves it out.
    """
    many = "100" if quick else "1000"
    commands = [["code_location.py", many], ["one_run.py", "1", many, "--rounds", "1"]]
    if hour:
        commands.append(["hour.py", str(hour)])
    return {
        " ".join(["python", f"benchmarks/{name}", *rest]): _output(name, rest)
        for name, *rest in commands
    }


def _output(name: str, arguments: list[str]) -> str:
    print(f"{name} {' '.join(arguments)}", flush=True)
    done = subprocess.run(  # noqa: S603 - our own scripts
        [sys.executable, str(HERE / name), *arguments],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    error = f"\nIt failed with exit code {done.returncode}:\n{done.stderr[-1_000:]}"
    return done.stdout + (error if done.returncode else "")
