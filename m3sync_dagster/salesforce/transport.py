"""Sending requests to the REST resources of one org."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypedDict, TypeVar, Unpack

import requests
from requests.adapters import HTTPAdapter

from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.logged_in_session import LoggedInSession
from m3sync_dagster.salesforce.login import Token, log_in
from m3sync_dagster.salesforce.quota import Limits, Quota
from m3sync_dagster.salesforce.responses import connection_error, decode, require_whole
from m3sync_dagster.salesforce.retrying_session import Connection, RequestCounts, RetryingSession
from m3sync_dagster.salesforce.tls_adapter import CONNECTIONS, TlsAdapter
from m3sync_dagster.salesforce.token_holder import TokenHolder
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.interfaces import LoginLog

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

_T = TypeVar("_T")
FilePart = tuple[str | None, str | bytes, str]
"""A part of a multipart request: file name, content and media type."""
_log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """Options of a request, as of ``requests.Session.request``."""

    headers: dict[str, str]
    data: bytes | BinaryIO
    json: object
    params: dict[str, str]
    stream: bool


class Transport:
    """Sends requests to one org, and logs in before the first.

    Args:
        credential: how to log in.
        quota_share: the share of the org's daily API calls after which writing stops.
        sleep: waits a number of seconds.
        logins: records each login, if it is given.

    Attributes:
        session: sends every request, including those of simple-salesforce.
    """

    def __init__(
        self,
        credential: ConnectedApp,
        quota_share: float = 0.8,
        sleep: Callable[[float], None] = time.sleep,
        logins: LoginLog | None = None,
    ) -> None:
        self._api_version = credential.api_version
        self._quota = Quota(quota_share)
        self._counts = RequestCounts()
        plain = credential.origin.startswith("http:")
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS) if plain else TlsAdapter()
        # simple-salesforce logs in only at hosts under salesforce.com, and only over https. This
        # session sends its login requests to the login URL's host instead, and to no other.
        connection = Connection(adapter, self._counts, sleep, credential.origin)
        self._login_session = RetryingSession(connection)
        self._tokens = TokenHolder(lambda: log_in(credential, self._login_session), logins)
        if not credential.loopback:
            connection = replace(connection, origin=None)
        self.session = LoggedInSession(connection, self._tokens, self._quota, self._api_version)

    @property
    def calls(self) -> int:
        """Requests sent so far, logins and retries included."""
        return self._counts.calls

    @property
    def retries(self) -> int:
        """Those of ``calls`` that repeated a request that failed or whose response was lost."""
        return self._counts.retries

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the org has used and may use in 24 hours, by the last response."""
        return self._quota.usage

    def token(self) -> Token:
        """The current token; logs in if there is none yet."""
        return self._tokens.token()

    def base_url(self) -> str:
        """The URL of the REST resources of our API version; logs in if necessary."""
        return f"https://{self.token().instance}/services/data/v{self._api_version}"

    def client(self) -> "Salesforce":
        """A simple-salesforce client for reading, with ``Decimal`` numbers; logs in if needed."""
        from simple_salesforce.api import Salesforce  # noqa: PLC0415 - as in ``log_in``

        return Salesforce(
            session=self.session,
            # The session replaces this by the current token.
            session_id="current",
            instance_url=f"https://{self.token().instance}",
            version=self._api_version,
            parse_float=Decimal,
            object_pairs_hook=dict,
        )

    def call(self, method: str, path: str, **options: Unpack[Options]) -> requests.Response:
        """Send a request to a REST resource.

        Args:
            method: the HTTP method.
            path: the resource's path under ``/services/data/vXX.X``.
            **options: as of ``requests.Session.request``.

        Raises:
            SyncError: the request failed, or had no response.
        """
        return self.session.request(method, self.base_url() + path, **options)

    def fetch(
        self, method: str, path: str, result_type: type[_T], **options: Unpack[Options]
    ) -> _T:
        """Send a request as ``call`` does, and decode the JSON of its response."""
        return decode(self.call(method, path, **options), result_type)

    def call_once(self, method: str, path: str, files: Mapping[str, FilePart]) -> requests.Response:
        """Send a multipart request as ``call`` does, but without retries.

        Raises:
            SyncError: the request failed, or had no response. In the second case Salesforce may
                have processed it.
        """
        request = requests.Request(method, self.base_url() + path, files=files)
        return self.session.send_once(self.session.prepare_request(request))

    def download(self, path: str, file: Path) -> Mapping[str, str]:
        """Download a CSV resource to a file; after a broken connection, again from its start.

        Returns:
            The headers of the response.
        """
        try:
            return self.session.retrying(self._download, path, file)
        except requests.RequestException as error:
            request = requests.Request("GET", self.base_url() + path).prepare()
            raise connection_error(request, error) from error

    def _download(self, path: str, file: Path) -> Mapping[str, str]:
        with (
            self.call("GET", path, headers={"Accept": "text/csv"}, stream=True) as response,
            file.open("wb") as target,
        ):
            target.writelines(response.iter_content(1 << 16))
            require_whole(response)
            return response.headers

    def check_quota(self, *, batches: bool = False) -> None:
        """Stop when the org's daily limits are used past the set share.

        Args:
            batches: also check the limit of Bulk API batches, before an ingest job.

        Raises:
            RateLimitError: a limit is used past the set share.
        """
        self._quota.check()
        if self._quota.needs_limits(batches=batches):
            self._quota.set_limits(self._read_limits())
        self._quota.check(batches=batches)

    def _read_limits(self) -> Limits | None:
        try:
            return self.fetch("GET", "/limits", Limits)
        except (ConfigurationError, RemoteError) as error:
            _log.warning("The org's limits could not be read: %s", error)
            return None

    def close(self) -> None:
        """Close the connections. The session is not logged out: other processes may share it."""
        self._login_session.close()
        self.session.close()


def resource_path(url: str | None) -> str | None:
    """The path of a URL below ``/services/data/vXX.X``."""
    return re.sub(r"^.*?/services/data/v[\d.]+", "", url) if url else None
