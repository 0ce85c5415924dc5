"""Requests to one org: what Salesforce's resources are asked with."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, TypeVar, Unpack

import requests
from requests.adapters import HTTPAdapter

from m3sync_dagster.salesforce.answers import decode, unreachable
from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.login import Token, log_in
from m3sync_dagster.salesforce.org_session import OrgSession
from m3sync_dagster.salesforce.quota import Limits, Quota
from m3sync_dagster.salesforce.session import Connection, RetryingSession, Traffic
from m3sync_dagster.salesforce.tls_adapter import CONNECTIONS, TlsAdapter
from m3sync_dagster.salesforce.token_holder import TokenHolder
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """What a request may carry, as of ``requests.Session.request``."""

    headers: dict[str, str]
    data: bytes | BinaryIO
    json: object
    params: dict[str, str]
    stream: bool


class Transport:
    """Sends requests to one org, and logs in for them.

    Args:
        credential: how to log in; nothing is sent before the first request.
        quota_share: the share of the org's daily API calls past which nothing more is written.
        sleep: waits a number of seconds.

    Attributes:
        session: what every request goes over, those of simple-salesforce too.
    """

    def __init__(
        self,
        credential: ConnectedApp,
        quota_share: float = 0.8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api_version = credential.api_version
        self._quota = Quota(quota_share)
        self._traffic = Traffic()
        plain = credential.origin.startswith("http:")
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS) if plain else TlsAdapter()
        # simple-salesforce logs in at hosts under salesforce.com alone, and speaks https alone:
        # a login goes to the login URL's host, whatever host it names, and to no other.
        connection = Connection(adapter, self._traffic, sleep, credential.origin)
        self._login_session = RetryingSession(connection)
        self._tokens = TokenHolder(lambda: log_in(credential, self._login_session))
        if not credential.loopback:
            connection = replace(connection, origin=None)
        self.session = OrgSession(connection, self._tokens, self._quota, self._api_version)

    @property
    def calls(self) -> int:
        """Requests sent so far, logins and repetitions included."""
        return self._traffic.calls

    @property
    def repetitions(self) -> int:
        """How many of them were sent again, since they failed or their answer was lost."""
        return self._traffic.repetitions

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the org has used and may use in 24 hours, as last heard."""
        return self._quota.usage

    @property
    def token(self) -> Token:
        """The current token; logs in where there is none yet."""
        return self._tokens.token

    @property
    def base_url(self) -> str:
        """Where the REST resources of our API version are."""
        return f"https://{self.token.instance}/services/data/v{self._api_version}"

    @property
    def client(self) -> "Salesforce":
        """simple-salesforce, for reading: its numbers are exact decimals."""
        from simple_salesforce.api import Salesforce  # noqa: PLC0415 - as in ``log_in``

        return Salesforce(
            session=self.session,
            # Whatever token it holds, the session sends the current one.
            session_id="current",
            instance_url=f"https://{self.token.instance}",
            version=self._api_version,
            parse_float=Decimal,
            object_pairs_hook=dict,
        )

    def call(self, method: str, path: str, **options: Unpack[Options]) -> requests.Response:
        """Send a request with the token to a REST resource.

        Args:
            method: the HTTP method.
            path: the resource's path under ``/services/data/vXX.X``.
            **options: as of ``requests.Session.request``.

        Raises:
            SyncError: it was refused, or nothing came back.
        """
        return self.session.request(method, self.base_url + path, **options)

    def fetch(self, method: str, path: str, answer: type[_T], **options: Unpack[Options]) -> _T:
        """Do as ``call``, and decode the JSON that comes back."""
        return decode(self.call(method, path, **options), answer)

    def call_once(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        """Do as ``call``, but not again where what became of the first time is not known.

        Raises:
            SyncError: it was refused, or nothing came back; in the latter case it may have
                been carried out all the same.
        """
        request = requests.Request(method, self.base_url + path, **options)
        return self.session.send_once(self.session.prepare_request(request))

    def download(self, path: str, file: Path) -> Mapping[str, str]:
        """Read a CSV resource into a file; from its start again where the connection breaks.

        Returns:
            The answer's headers.
        """
        try:
            return self.session.retrying(self._download, path, file)
        except requests.RequestException as error:
            request = requests.Request("GET", self.base_url + path).prepare()
            raise unreachable(request, error) from error

    def _download(self, path: str, file: Path) -> Mapping[str, str]:
        with (
            self.call("GET", path, headers={"Accept": "text/csv"}, stream=True) as response,
            file.open("wb") as target,
        ):
            target.writelines(response.iter_content(1 << 16))
            return response.headers

    def check_quota(self, *, batches: bool = False) -> None:
        """Refuse to go on when the org's daily allowance is nearly used up.

        Args:
            batches: that of Bulk API batches too, which an ingest job is about to use.

        Raises:
            RateLimitError: it is used past the set share.
        """
        self._quota.check()
        if self._quota.unknown(batches=batches):
            self._quota.learn(self._ask_limits())
        self._quota.check(batches=batches)

    def _ask_limits(self) -> Limits | None:
        try:
            return self.fetch("GET", "/limits", Limits)
        except (ConfigurationError, RemoteError) as error:
            _log.warning("How much of its allowance the org has left is not known: %s", error)
            return None

    def close(self) -> None:
        """Close the connections; nothing is logged out, since others may share the login."""
        self._login_session.close()
        self.session.close()


def resource_path(url: str | None) -> str | None:
    """The path under ``/services/data/vXX.X`` of the address of a next page."""
    return re.sub(r"^.*?/services/data/v[\d.]+", "", url) if url else None
