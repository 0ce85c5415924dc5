"""Signals that end a command."""

import subprocess
import sys

import pytest

SECOND = """
import os, signal
from m3sync_dagster.cli.signals import until_stopped
with until_stopped() as stopped:
    if {first}:
        os.kill(os.getpid(), signal.SIGINT)
        stopped.wait()
os.kill(os.getpid(), signal.SIGINT)
print("at the exit")
"""


@pytest.mark.parametrize(("first", "printed"), [(True, "at the exit\n"), (False, "")])
def test_after_a_signal_another_one_interrupts_nothing(first: bool, printed: str) -> None:
    script = SECOND.format(first=first)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == printed
    assert ("KeyboardInterrupt" in done.stderr) is not first
