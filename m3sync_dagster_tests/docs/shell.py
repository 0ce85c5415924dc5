"""A shell that runs the blocks of a page, each where the last one has ended."""

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.docs import command_client
from m3sync_dagster_tests.docs.blocks import Block

_START = """\
set -Eeuo pipefail
trap 'echo "$?:$LINENO:$BASH_COMMAND" > {failed}' ERR
trap 'pwd > {folder}; env -0 > {environment}' EXIT
. {commands}
"""


@dataclass
class Shell:
    """A user's terminal.

    Args:
        folder: the working directory.
        environment: all variables.
        files: a folder for this shell's own files.
        patience: seconds that a block may take.
        output: what the last block has printed.
    """

    folder: Path
    environment: dict[str, str]
    files: Path
    patience: float = PATIENCE
    output: str = field(default="", init=False)

    def run(self, block: Block) -> str:
        """Run a block; gives what is wrong with it, or an empty text."""
        for name in ("failed", "folder", "environment"):
            (self.files / name).unlink(missing_ok=True)
        (self.files / "commands").write_text(block.text + "\n")
        code = self._ended()
        wanted = int(block.remarks.get("exit code", "0"))
        if code != wanted:
            return f"{self._failed(block)}: exit code {code}, not {wanted}\n{self.output}"
        self._remember()
        return self._not_shown(block)

    def _ended(self) -> int:
        script = _START.format(
            **{
                name: shlex.quote(str(self.files / name))
                for name in ("failed", "folder", "environment", "commands")
            }
        )
        with subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", script],  # noqa: S607 - the user's
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as bash:  # fmt: skip
            try:
                self.output = bash.communicate(timeout=self.patience)[0]
            except subprocess.TimeoutExpired:
                # Also what the block has left running, which would hold the output.
                os.killpg(bash.pid, signal.SIGKILL)
                self.output = f"{bash.communicate()[0]}\nIt had not ended after {self.patience} s."
        return bash.returncode

    def _failed(self, block: Block) -> str:
        """The page, the line and the command that has failed."""
        path = self.files / "failed"
        if not path.exists():
            return f"{block}: {'; '.join(block.commands)}"
        _, line, command = path.read_text().rstrip().split(":", 2)
        return f"{block.at(block.line + int(line))}: {command}"

    def _remember(self) -> None:
        self.folder = Path((self.files / "folder").read_text().rstrip("\n"))
        pairs = (self.files / "environment").read_text().split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def _not_shown(self, block: Block) -> str:
        position, printed = 0, _squeezed(self.output)
        for line in filter(None, map(_squeezed, block.shown.splitlines())):
            pattern = ".*?".join(re.escape(part.strip()) for part in line.split("…"))
            found = re.compile(pattern).search(printed, position)
            if not found:
                return f"{block}: it does not print {line!r}, but:\n{self.output}"
            position = found.end()
        return ""


def _squeezed(text: str) -> str:
    """Without the borders of tables, and with one space where there is white space."""
    return " ".join(re.sub(r"[│┃┏┓┗┛┡┩├┤└┘┌┐─━┳╇┴┼╈┬]+", " ", text).split())


def write_program(path: Path, server_socket: Path) -> None:
    """Write an ``m3sync`` that runs its commands at a server; see ``command_server``."""
    client = shlex.join([sys.executable, "-ISE", command_client.__file__, str(server_socket)])
    path.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    path.chmod(0o755)
