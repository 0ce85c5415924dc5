"""Runs commands of ``m3sync`` one after the other, each in a separate process.

Imports take seconds, so this program makes them once, and forks for each command that it reads as
a line of JSON. It prints the process's id, and its exit status when it ends.
"""

import importlib
import json
import os
import sys
import threading

from m3sync_dagster.cli import app

NEEDED = (
    "dagster_postgres",
    "m3ter",
    "simple_salesforce",
    "m3sync_dagster.cli.find_integration",
    "m3sync_dagster.cli.run",
    "m3sync_dagster.cli.in_process_run",
    "m3sync_dagster.definitions",
)


def main() -> None:
    """Serve until standard input ends."""
    for name in NEEDED:
        importlib.import_module(name)
    # A thread does not exist in the child, where its locks would never be released.
    assert threading.active_count() == 1
    for line in sys.stdin:
        args, output = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(args, output)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(args: list[str], output: str) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    code = 1
    try:
        app(args)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
