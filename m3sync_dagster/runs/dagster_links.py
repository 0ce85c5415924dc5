"""Links to pages of Dagster's UI."""

import os
from urllib.parse import quote

from m3sync_dagster.url_parts import shown_address

WEBSERVER_URL = "M3SYNC_WEBSERVER_URL"
"""The environment variable with the address of Dagster's UI."""
DEFAULT_WEBSERVER_URL = "http://127.0.0.1:3000"
LOCATION = "m3sync"
"""The name of our code location, unless a ``workspace.yaml`` gives it another one."""
REPOSITORY = "__repository__"
"""The name that Dagster gives to the one repository of a code location."""


def run_link(run_id: str, webserver: str | None = None) -> str:
    """The page of a run; its address does not depend on the code location.

    Args:
        run_id: the run.
        webserver: the address of Dagster's UI; ``None``: the one in the environment.
    """
    return f"{_address(webserver)}/runs/{quote(run_id, safe='')}"


def schedule_link(location: str, schedule: str) -> str:
    """The page of a schedule.

    Args:
        location: the name of the code location that has it.
        schedule: its name.
    """
    repository = f"{REPOSITORY}@{quote(location, safe='')}"
    return f"{_address()}/locations/{repository}/schedules/{quote(schedule, safe='')}"


def _address(webserver: str | None = None) -> str:
    given = webserver or os.environ.get(WEBSERVER_URL, "").strip()
    return shown_address(given or DEFAULT_WEBSERVER_URL)
