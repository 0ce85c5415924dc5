"""The one way to Salesforce: a session that every request goes through, whoever makes it.

simple-salesforce sends over it too, so that its requests have what it lacks: a timeout, retries,
a count, one renewal of the token for all threads, and errors that say what to do.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, TypeVar, Unpack
from urllib.parse import urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.utils import rewind_body
from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_attempt,
)

from m3sync_dagster.salesforce.credential import ConnectedApp
from m3sync_dagster.salesforce.errors import LOGIN, ApiError, parse_answer, to_sync_error
from m3sync_dagster.salesforce.login import Token, log_in
from m3sync_dagster.salesforce.quota import Limits, Quota
from m3sync_dagster.salesforce.retry import RetryableError, is_retryable, wait
from m3sync_dagster.salesforce.sandbox_adapter import SandboxAdapter
from m3sync_dagster.sync.errors import AuthenticationError, ConfigurationError, RemoteError
from m3sync_dagster.sync.results import ErrorClass

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

TIMEOUT = (10, 120)
"""Seconds to connect, and between two signs of life."""
ATTEMPTS = 5
CONNECTIONS = 8
_PASSING = {420, 429, 500, 502, 503, 504}
_BEARER = "Bearer "
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """What a request may carry, as of ``requests.Session.request``."""

    headers: dict[str, str]
    data: bytes | BinaryIO
    json: object
    params: dict[str, str]
    stream: bool


class Transport(requests.Session):
    """A requests session that is logged in to one org.

    Whatever is sent over it with a bearer token gets the current one. Every request that is made
    over it may be repeated: reads, upserts by external ID, and job requests that do no harm twice.

    Args:
        credential: how to log in; nothing is sent before the first request.
        quota_share: the share of the org's daily API calls past which nothing more is written.
        sleep: waits a number of seconds.

    Attributes:
        calls: requests sent so far, logins and repetitions included.
        repetitions: how many of them were sent again, since they failed or their answer was lost.
    """

    def __init__(
        self,
        credential: ConnectedApp,
        quota_share: float = 0.8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.calls = 0
        self.repetitions = 0
        self._credential = credential
        self._quota = Quota(quota_share)
        self._token: Token | None = None
        self._refused: AuthenticationError | None = None
        self._login_lock = threading.Lock()
        self._count_lock = threading.Lock()
        self._retrying = Retrying(
            retry=retry_if_exception(is_retryable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait,
            sleep=sleep,
            before_sleep=self._note_repetition,
            reraise=True,
        )
        self._equip()

    def _equip(self) -> None:
        """Plain http leads to this machine alone; neither .netrc nor cookies change a request."""
        self.adapters.clear()
        if self._credential.loopback:
            self.trust_env = False
            self.mount(
                "https://", SandboxAdapter(self._credential.origin, pool_maxsize=CONNECTIONS)
            )
        else:
            self.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        self.auth = _unchanged
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls that the org has used and may use in 24 hours, as last heard."""
        return self._quota.usage

    @property
    def token(self) -> Token:
        """The current token; logs in where there is none yet."""
        with self._login_lock:
            return self._token or self._log_in()

    @property
    def base_url(self) -> str:
        """Where the REST resources of our API version are."""
        return f"https://{self.token.instance}/services/data/v{self._credential.api_version}"

    @property
    def client(self) -> "Salesforce":
        """simple-salesforce, for reading: its numbers are exact decimals."""
        from simple_salesforce.api import Salesforce  # noqa: PLC0415 - as in ``log_in``

        return Salesforce(
            session=self,
            # Whatever token it holds, the session sends the current one.
            session_id="current",
            instance_url=f"https://{self.token.instance}",
            version=self._credential.api_version,
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
        options["headers"] = {"Authorization": _BEARER} | options.get("headers", {})
        return self.request(method, self.base_url + path, **options)

    def fetch(self, method: str, path: str, answer: type[_T], **options: Unpack[Options]) -> _T:
        """Do as ``call``, and decode the JSON that comes back."""
        return decode(self.call(method, path, **options), answer)

    def call_once(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        """Do as ``call``, but never again where nobody knows what became of the first time.

        Raises:
            SyncError: it was refused, or nothing came back; in the latter case it may have
                been carried out all the same.
        """
        headers = {"Authorization": _BEARER} | options.pop("headers", {})
        request = self.prepare_request(
            requests.Request(method, self.base_url + path, headers=headers, **options)
        )
        kept = {"allow_redirects": False, "timeout": TIMEOUT}
        try:
            response = self._ask(request, kept)
            if response.status_code == 401:
                self._renew(request)
                response = self._ask(request, kept)
        except requests.RequestException as error:
            raise _unreachable(_where(request), error) from error
        if _refused(response):
            raise _refusal(response)
        return response

    def download(self, path: str, file: Path) -> Mapping[str, str]:
        """Read a CSV resource into a file; from its start again where the line breaks.

        Returns:
            The answer's headers.
        """
        try:
            return self._retrying(self._download, path, file)
        except requests.RequestException as error:
            raise _unreachable(f"GET {path}", error) from error

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
            _log.warning("Nobody knows how much of its allowance the org has left: %s", error)
            return None

    def send(
        self,
        request: requests.PreparedRequest,
        **options: Any,  # noqa: ANN401 - as requests has it
    ) -> requests.Response:
        """Send a request until it is answered for good.

        Raises:
            SyncError: it was refused, or nothing came back.
        """
        # A redirect could carry the token elsewhere; Salesforce's API documents none.
        options |= {"allow_redirects": False, "timeout": options.get("timeout") or TIMEOUT}
        response = self._persist(request, options)
        if response.status_code == 401 and _is_bearer(request):
            self._renew(request)
            response = self._persist(request, options)
        if _refused(response):
            raise _refusal(response)
        return response

    def _persist(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        try:
            return self._retrying(self._attempt, request, options)
        except RetryableError as error:
            raise _refusal(error.response) from None
        except requests.RequestException as error:
            raise _unreachable(_where(request), error) from error

    def _attempt(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        response = self._ask(request, options)
        if _refused(response):
            complaint = _complaint(response)
            if (
                response.status_code in _PASSING
                or complaint.advice.error_class is ErrorClass.TRANSIENT
            ):
                raise RetryableError(response, complaint)
        return response

    def _ask(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        """Send a request once, with the current token."""
        if _is_bearer(request):
            request.headers["Authorization"] = _BEARER + self.token.value
        if getattr(request, "_body_position", None) is not None:
            rewind_body(request)
        with self._count_lock:
            self.calls += 1
        response = super().send(request, **options)
        if _is_bearer(request):
            self._quota.note(response.headers)
        return response

    def _renew(self, request: requests.PreparedRequest) -> None:
        """Log in again, unless another thread has done so since the request was sent."""
        with self._login_lock:
            if self._token and request.headers["Authorization"] == _BEARER + self._token.value:
                self._log_in()

    def _log_in(self) -> Token:
        """Log in, unless the credential has been refused before: trying again may lock the user."""
        if self._refused:
            raise self._refused
        try:
            self._token = log_in(self._credential, self)
        except AuthenticationError as error:
            self._refused = error
            raise
        return self._token

    def _note_repetition(self, state: RetryCallState) -> None:
        before_sleep_log(_log, logging.WARNING)(state)
        with self._count_lock:
            self.repetitions += 1


def decode(response: requests.Response, answer: type[_T]) -> _T:
    """Decode an answer's JSON.

    Raises:
        RemoteError: it is not what it should be.
    """
    try:
        return msgspec.json.decode(response.content, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _nonsense(_where(response.request), str(error)) from error


def resource_path(url: str | None) -> str | None:
    """The path under ``/services/data/vXX.X`` of the address of a next page."""
    return re.sub(r"^.*?/services/data/v[\d.]+", "", url) if url else None


def _refused(response: requests.Response) -> bool:
    """Whether it is no answer to what was asked; 304 says that the asker has it already."""
    return response.status_code >= 300 and response.status_code != 304


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_bearer(request: requests.PreparedRequest) -> bool:
    return str(request.headers.get("Authorization", "")).startswith(_BEARER)


def _complaint(response: requests.Response) -> ApiError:
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    return parse_answer(response.status_code, body)


def _where(request: requests.PreparedRequest) -> str:
    path = urlsplit(request.url or "").path
    return LOGIN if path.startswith("/services/oauth2/") else f"{request.method} {path}"


def _refusal(response: requests.Response) -> Exception:
    return to_sync_error(_complaint(response), _where(response.request), response.status_code)


def _nonsense(where: str, detail: str) -> RemoteError:
    return RemoteError(
        f"Salesforce answered {where} with something that is not documented: {detail}",
        "Try again later; if it stays so, report it with this message.",
    )


def _unreachable(where: str, error: Exception) -> RemoteError:
    return RemoteError(
        f"Salesforce could not be reached for {where}: {_reason(error)}",
        "Check the network and https://status.salesforce.com; the next run tries again.",
    )


def _reason(error: Exception) -> str:
    """The last link of the chain, such as "Connection refused"."""
    reason: object = error
    while isinstance(inner := getattr(reason, "reason", None) or _first(reason), Exception):
        reason = inner
    return f"{type(error).__name__}: {reason}"


def _first(error: object) -> object:
    arguments = getattr(error, "args", ())
    return arguments[0] if arguments else None
