"""The environment of the suites: the packages that they need, and the sandbox as a program.

Everything is installed into ``.conformance``, with the versions that ``requirements.txt`` names.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".conformance"
REQUIREMENTS = HERE / "requirements.txt"
PYTHON = FOLDER / "bin" / "python"


def install() -> None:
    """Make ``.conformance``, with m3ter's source archive unpacked in it, if it is not there."""
    installed = FOLDER / "installed.txt"
    if installed.is_file() and installed.read_text() == REQUIREMENTS.read_text():
        return
    venv.create(FOLDER, clear=True, with_pip=True)
    _pip("install", "--requirement", str(REQUIREMENTS))
    _pip("download", "--no-binary", ":all:", "--no-deps", "--dest", str(FOLDER), _m3ter())
    with tarfile.open(next(FOLDER.glob("m3ter-*.tar.gz"))) as archive:
        archive.extractall(FOLDER, filter="data")
    shutil.copy(REQUIREMENTS, installed)


def sdk_source() -> Path:
    """The folder with the source of m3ter's SDK and its tests."""
    return FOLDER / _m3ter().replace("==", "-")


def version_of(package: str) -> str:
    """The installed version of a package, which is the one that is named."""
    lines = REQUIREMENTS.read_text().splitlines()
    wanted = (f"{package}==", f"{package}[")
    return next(line.partition("==")[2] for line in lines if line.startswith(wanted))


def program(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program of ``.conformance``, and give its output."""
    return subprocess.run(  # noqa: S603 - a program that we installed
        [PYTHON, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER,
        env=os.environ | environment,
        timeout=600,
    )


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[dict[str, str]]:
    """Run ``m3sync sandbox`` while the block runs; gives its addresses and credentials."""
    m3sync = Path(sys.executable).with_name("m3sync")
    command = [m3sync, "sandbox", "--json", "--requests-per-second", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            lines = iter(process.stdout or ())
            yield json.loads("".join(_until_closed(lines)))
        finally:
            process.terminate()


def salesforce_token(servers: dict[str, str]) -> str:
    """A session of the Salesforce sandbox, by the client credentials flow."""
    form = {
        "grant_type": "client_credentials",
        "client_id": servers["SALESFORCE_CLIENT_ID"],
        "client_secret": servers["SALESFORCE_CLIENT_SECRET"],
    }
    answer = httpx.post(f"{servers['SALESFORCE_LOGIN_URL']}/services/oauth2/token", data=form)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def _until_closed(lines: Iterator[str]) -> Iterator[str]:
    """The lines of one JSON object, which is printed indented."""
    for line in lines:
        yield line
        if line.startswith("}"):
            return


def _m3ter() -> str:
    return f"m3ter=={version_of('m3ter')}"


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--quiet", *arguments]
    subprocess.run(command, check=True)  # noqa: S603 - pip of the environment that we made
