"""The address of the webserver that ``m3sync dev`` or ``m3sync demo`` runs, left in the project."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.runs.dagster_links import DEFAULT_WEBSERVER_URL, WEBSERVER_URL

_FILE = "webserver_url"


def webserver_urls(environment: Environment) -> list[str]:
    """Where a webserver of the project may answer, the most likely address first."""
    return _without_repeats(_left(environment), _given() or DEFAULT_WEBSERVER_URL)


def link_address(environment: Environment) -> str:
    """The address for links: people may reach the webserver by another one than we do."""
    return _without_repeats(_given(), _left(environment), DEFAULT_WEBSERVER_URL)[0]


@contextmanager
def left_in_project(environment: Environment, url: str) -> Iterator[None]:
    """Leave the address in the project while the block lasts, so that other commands find it."""
    file = environment.own_folder / _FILE
    # A project may be read-only. Other commands then need the variable M3SYNC_WEBSERVER_URL.
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        file.write_text(url, "utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # A second server of the same project has written another address.
            if file.read_text("utf-8") == url:
                file.unlink()


def _given() -> str:
    return os.environ.get(WEBSERVER_URL, "").strip()


def _left(environment: Environment) -> str:
    try:
        return (environment.own_folder / _FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _without_repeats(*urls: str) -> list[str]:
    return list(dict.fromkeys(url.rstrip("/") for url in urls if url))
