"""Reloads the code location in a running webserver after a change of a ``defs.yaml``."""

import os

import httpx

from m3sync_dagster.notifications.message_text import DEFAULT_WEBSERVER_URL, LOCATION, WEBSERVER_URL
from m3sync_dagster.tls_and_proxy import httpx_options

_RELOAD = """
mutation ($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename } }
  }
}
"""
_TIMEOUT = httpx.Timeout(180.0, connect=2.0)


def reload_location() -> bool:
    """Reload our code location in the webserver; gives whether it was reloaded.

    The webserver's address is ``M3SYNC_WEBSERVER_URL``, or that of ``m3sync dev``.
    """
    base = os.environ.get(WEBSERVER_URL, DEFAULT_WEBSERVER_URL).rstrip("/")
    request = {"query": _RELOAD, "variables": {"location": LOCATION}}
    try:
        answer = httpx.post(
            f"{base}/graphql", json=request, timeout=_TIMEOUT, **httpx_options(base)
        ).json()
        entry = answer["data"]["reloadRepositoryLocation"]
        return bool(entry["locationOrLoadError"]["__typename"] == "RepositoryLocation")
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False
