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
    given = os.environ.get(WEBSERVER_URL, "").strip() or DEFAULT_WEBSERVER_URL
    try:
        left = (environment.own_folder / _FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        left = ""
    return list(dict.fromkeys(url.rstrip("/") for url in (left, given) if url))


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
