"""The way to a server on this machine that stands in for Salesforce."""

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from m3sync_dagster.loopback import is_loopback

DOMAIN = "loopback.my"
"""Host label by which simple-salesforce knows a stand-in; it adds ``.salesforce.com``."""


class SandboxAdapter(HTTPAdapter):
    """Sends whatever is meant for Salesforce to this machine, in the login URL's scheme.

    simple-salesforce forces https, and logs in at ``salesforce.com`` alone.

    Args:
        origin: scheme, host and port of the login URL.
        pool_maxsize: connections that are kept.
    """

    def __init__(self, origin: str, pool_maxsize: int) -> None:
        self._login = urlsplit(origin)
        super().__init__(pool_maxsize=pool_maxsize)

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 - as requests has it
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        """Rewrite the address, and send."""
        url = urlsplit(request.url or "")
        place = url.netloc if is_loopback(url.hostname or "") else self._login.netloc
        request = request.copy()
        request.url = url._replace(scheme=self._login.scheme, netloc=place).geturl()
        return super().send(request, *args, **options)
