"""The suites of the Salesforce sandbox: clients that other people wrote."""

import os
import shutil
import subprocess

from client_environment import FOLDER, HERE, program, sandbox, version_of
from outcomes import Outcome, Suite, read_lines

JSFORCE = "3.10.16"
CLIENTS = HERE / "clients"


def simple_salesforce() -> Suite:
    """simple-salesforce, the client that most Python programs use."""
    return _python_client("simple-salesforce")


def kinetic_core() -> Suite:
    """kinetic-core, a client with ingest jobs."""
    return _python_client("kinetic-core")


def aio_sf() -> Suite:
    """aio-sf, an asynchronous client."""
    return _python_client("aio-sf")


def jsforce() -> Suite:
    """jsforce, the client that most JavaScript programs and Salesforce's own command line use."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return Suite("jsforce", JSFORCE, skipped="node and npm are not installed")
    wanted = f"jsforce@{JSFORCE}"
    options = ("--prefix", str(FOLDER), "--no-audit", "--no-fund", "--silent")
    installed = subprocess.run([npm, "install", *options, wanted], check=False)  # noqa: S603 - npm
    if installed.returncode:
        return Suite("jsforce", JSFORCE, skipped="npm cannot install it")
    with sandbox() as servers:
        done = subprocess.run(  # noqa: S603 - our own script
            [node, str(CLIENTS / "jsforce_calls.mjs")],
            capture_output=True,
            text=True,
            check=False,
            cwd=FOLDER,
            env=os.environ | servers,
            timeout=300,
        )
    return Suite("jsforce", JSFORCE, _outcomes(done))


def _python_client(package: str) -> Suite:
    with sandbox() as servers:
        done = program(CLIENTS / "python_clients.py", package.replace("-", "_"), **servers)
    return Suite(package, version_of(package), _outcomes(done))


def _outcomes(done: subprocess.CompletedProcess[str]) -> tuple[Outcome, ...]:
    """The outcomes that a script printed, and a failure if it ended with an error."""
    outcomes = read_lines(done.stdout)
    return (*outcomes, Outcome("script", done.stderr[-300:])) if done.returncode else outcomes
