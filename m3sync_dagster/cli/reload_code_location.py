"""Reloads the code location in a running webserver after a change of a ``defs.yaml``."""

from collections.abc import Iterable
from typing import Any

import httpx

from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.cli.webserver_address import webserver_urls
from m3sync_dagster.guard.sensor import GUARD
from m3sync_dagster.runs.dagster_links import LOCATION
from m3sync_dagster.tls_and_proxy import httpx_options

_LOCATIONS = """
{
  repositoriesOrError {
    ... on RepositoryConnection { nodes { location { name } sensors { name } } }
  }
}
"""
_RELOAD = """
mutation ($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename } }
  }
}
"""
_TIMEOUT = httpx.Timeout(180.0, connect=2.0)


def report_change(environment: Environment, change: str) -> None:
    """Report a change of a file, load it into a running webserver, and say whether one has it."""
    print_message(change)
    if reload_location(webserver_urls(environment)):
        print_message(
            "Dagster's webserver has loaded it; a separate daemon loads it within a minute."
        )
    else:
        print_message(
            "No webserver answered. To load it in a running one, click Reload on its page "
            "Deployment; a daemon loads it within a minute."
        )


def reload_location(urls: Iterable[str]) -> bool:
    """Reload our code location in the first webserver that answers; gives whether one did.

    Args:
        urls: where a webserver may answer.
    """
    return any(_reload(url) for url in urls)


def _reload(url: str) -> bool:
    try:
        with httpx.Client(timeout=_TIMEOUT, **httpx_options(url)) as client:
            location = _own_location(_ask(client, url, _LOCATIONS, {}))
            answer = _ask(client, url, _RELOAD, {"location": location})
            entry = answer["reloadRepositoryLocation"]
            return bool(entry["locationOrLoadError"]["__typename"] == "RepositoryLocation")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return False


def _ask(client: httpx.Client, url: str, query: str, variables: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    request = {"query": query, "variables": variables}
    return client.post(f"{url}/graphql", json=request).json()["data"]


def _own_location(answer: Any) -> str:  # noqa: ANN401 - JSON
    """The code location with the guard's sensor: a workspace may give ours another name."""
    for repository in answer["repositoriesOrError"].get("nodes", ()):
        if any(sensor["name"] == GUARD for sensor in repository["sensors"]):
            return str(repository["location"]["name"])
    return LOCATION
