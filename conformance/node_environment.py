"""Programs of npm, which run with the Node.js that a package of PyPI has brought.

Each is installed in a named version, into a folder of its own in ``.conformance``.
"""

import os
import shutil
import subprocess
from pathlib import Path

from client_environment import FOLDER

NODE = FOLDER / "bin" / "node"
INSTALL_SECONDS = 300
"""How long npm may take to install a program; the longest took 75 seconds."""
RUN_SECONDS = 600
"""How long one program may run; the longest, a file of jsforce's tests, took 117 seconds."""
_QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--silent")


class NotReachedError(Exception):
    """A program could not be had, so its suite does not run. The text says why."""


def install_from_npm(package: str, version: str) -> Path:
    """Install a package of npm, if it is not there.

    Returns:
        the package's own folder.

    Raises:
        NotReachedError: npm cannot install it.
    """
    folder = FOLDER / "npm" / package.rpartition("/")[2]
    installed = folder / "installed.txt"
    if not (installed.is_file() and installed.read_text() == version):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        npm("install", f"{package}@{version}", folder=folder)
        installed.write_text(version)
    return folder / "node_modules" / package


def npm(command: str, *arguments: str, folder: Path) -> None:
    """Run a command of npm that downloads packages. It runs no script of a package.

    Raises:
        NotReachedError: the command fails, or takes too long.
    """
    wanted = ["npm", command, *arguments]
    checked_run(FOLDER / "bin" / "npm", command, "--ignore-scripts", *_QUIET, *arguments,
                folder=folder, failure=" ".join(wanted))  # fmt: skip


def checked_run(
    program: Path | str,
    *arguments: str | Path,
    folder: Path,
    failure: str,
    seconds: int = INSTALL_SECONDS,
) -> None:
    """Run a program that prepares a suite.

    Raises:
        NotReachedError: it fails, or takes too long; ``failure`` says what was attempted.
    """
    try:
        subprocess.run(  # noqa: S603 - npm, git and the TypeScript compiler
            [program, *arguments],
            cwd=folder,
            env=node_variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise NotReachedError(f"{failure}: it took more than {seconds} seconds") from None
    except (subprocess.CalledProcessError, OSError):
        raise NotReachedError(f"{failure}: it failed") from None


def node(
    script: Path, *arguments: str, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a JavaScript program in a folder, and give its output."""
    return subprocess.run(  # noqa: S603 - a program that we installed, or our own
        [NODE, script, *arguments],
        cwd=folder,
        env=node_variables() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )


def node_variables() -> dict[str, str]:
    """The environment in which ``node`` is that of ``.conformance``."""
    return os.environ | {
        "PATH": f"{FOLDER / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "GIT_TERMINAL_PROMPT": "0",
    }
