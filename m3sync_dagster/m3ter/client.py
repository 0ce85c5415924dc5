"""Asking m3ter: one token, the SDK's transport and retries, and errors that say what to do.

Source: m3ter API reference, "Authentication"; m3ter guides, "Config API limits".
"""

import base64
import threading
import time
from collections.abc import Callable, Generator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import msgspec

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)

if TYPE_CHECKING:
    from m3ter import M3ter

RETRIES = 8
"""How often a request is sent again, about 40 seconds in all unless m3ter names a time itself."""
MARGIN_SECONDS = 300.0
"""How long before its end a token is renewed."""

_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class _Token(msgspec.Struct):
    """m3ter's answer to a request for a token."""

    access_token: str
    expires_in: float


class TokenAuth(httpx.Auth):
    """Puts the token on each request: asked for once, renewed before it ends or when refused.

    The SDK would ask for a new token before every request, retries included, because it misreads
    ``expires_in``; that doubles what counts against the organization's limit. So the token is
    held here, below the SDK. When m3ter refuses to give one, its refusal is handed up as the
    answer, so that the SDK retries it, or does not, as it would any other.

    Args:
        credential: what to ask for a token with.
        clock: seconds, only ever growing.
    """

    def __init__(self, credential: M3terAccessKey, clock: Callable[[], float]) -> None:
        self._url = credential.base_url.rstrip("/") + _TOKEN_PATH
        key = f"{credential.access_key_id}:{credential.api_secret}"
        self._basic = base64.b64encode(key.encode()).decode()
        self._secrets = (credential.api_secret, self._basic)
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a token, and once more with a new one if m3ter answers 401."""
        token = yield from self._current(request, None)
        if token is None:
            return
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        token = yield from self._current(request, token)
        if token is None:
            return
        request.headers["Authorization"] = f"Bearer {token}"
        yield request

    def redacted(self, text: str) -> str:
        """The text without any secret that a system may have echoed."""
        for secret in (*self._secrets, self._token):
            text = text.replace(secret, "***") if secret else text
        return text

    def _current(
        self, request: httpx.Request, refused: str | None
    ) -> Generator[httpx.Request, httpx.Response, str | None]:
        """The token, or ``None`` when m3ter gives none. ``refused`` is one not to use again."""
        with self._lock:
            if self._token in (None, refused) or self._clock() >= self._good_until:
                asked = self._clock()
                response = yield self._request(request)
                self._token = None
                if response.is_success:
                    self._keep(response.read(), asked)
            return self._token

    def _request(self, request: httpx.Request) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._url,
            headers={"Authorization": f"Basic {self._basic}", "Accept": "application/json"},
            data={"grant_type": "client_credentials"},
            extensions={"timeout": request.extensions["timeout"]},
        )

    def _keep(self, body: bytes, asked: float) -> None:
        try:
            token = msgspec.json.decode(body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteError(
                f"m3ter answered {_TOKEN_PATH} with something that is not a token: {error}",
                "Check base_url and any proxy on the way to m3ter.",
            ) from error
        self._token = token.access_token
        lifetime = token.expires_in
        self._good_until = asked + lifetime - min(MARGIN_SECONDS, lifetime / 10)


class Client:
    """One organization's API, over the m3ter SDK.

    Args:
        credential: what to ask with.
        take_permit: waits until one more request may be sent; called before each, a request
            for a token and every retry included.
        retries: how often a request is sent again after 408, 409, 429, 5xx or a lost connection.
        clock: seconds, only ever growing; tells when a token ends.
    """

    def __init__(
        self,
        credential: M3terAccessKey,
        take_permit: Callable[[], None],
        retries: int = RETRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credential = credential
        self._take_permit = take_permit
        self._retries = retries
        self._auth = TokenAuth(credential, clock)
        self._root = f"/organizations/{quote(credential.organization_id, safe='')}/"
        self.requests = 0
        """HTTP requests sent so far, those for a token and retries included."""

    def get(self, path: str, query: Mapping[str, str | int]) -> bytes:
        """Ask for a path below the organization.

        Args:
            path: for example ``accounts``.
            query: its parameters.

        Returns:
            The body of m3ter's answer.

        Raises:
            AuthenticationError: m3ter refuses the credential, or this use of it.
            ConfigurationError: m3ter does not know the organization or the path.
            RateLimitError: m3ter keeps answering that there are too many requests.
            RemoteError: m3ter cannot be reached, or answers with another error.
        """
        response = self._ask(path, query)
        if not response.is_success:
            raise self._refusal(path, response)
        return response.content

    def find(self, path: str) -> bytes | None:
        """Ask for one record below the organization.

        m3ter answers 404 for a record that does not exist, with a ``message`` as JSON. A 404
        without one does not come from m3ter, and says nothing about the record.

        Source: m3ter's OpenAPI description, responses ``4XX``.

        Args:
            path: for example ``accounts/0c7f``.

        Returns:
            The body of m3ter's answer; ``None`` where the record does not exist.

        Raises:
            SyncError: as for ``get``.
        """
        response = self._ask(path, {})
        missing = response.status_code == httpx.codes.NOT_FOUND and not _is_for_token(response)
        if missing and _message(response) is not None:
            return None
        if not response.is_success:
            raise self._refusal(path, response)
        return response.content

    def close(self) -> None:
        """Close the connections to m3ter."""
        if "_sdk" in self.__dict__:
            self._sdk.close()

    @cached_property
    def _sdk(self) -> "M3ter":
        from m3ter import M3ter  # noqa: PLC0415 - slow to import, and only a run needs it

        held = "held by TokenAuth"
        return M3ter(
            org_id=self._credential.organization_id,
            base_url=self._credential.base_url,
            api_key=held,
            api_secret=held,
            token=held,
            max_retries=self._retries,
            http_client=httpx.Client(
                auth=self._auth, timeout=_TIMEOUT, event_hooks={"request": [self._before_request]}
            ),
        )

    def _ask(self, path: str, query: Mapping[str, str | int]) -> httpx.Response:
        """m3ter's answer, an error's included."""
        from m3ter import APIConnectionError, APIStatusError  # noqa: PLC0415 - slow to import

        try:
            return self._sdk.get(
                self._root + path, cast_to=httpx.Response, options={"params": dict(query)}
            )
        except APIStatusError as error:
            return error.response
        except APIConnectionError as error:
            if isinstance(error.__cause__, SyncError):
                raise error.__cause__ from None
            raise self._unreachable(path, error.__cause__ or error) from None

    def _before_request(self, _request: httpx.Request) -> None:
        self._take_permit()
        self.requests += 1

    def _refusal(self, path: str, response: httpx.Response) -> SyncError:
        status = response.status_code
        asked = _TOKEN_PATH if _is_for_token(response) else path
        said = _message(response) or _start(response)
        cause = f"m3ter answered {asked} with {status}: {self._auth.redacted(said)}"
        if asked == _TOKEN_PATH and 400 <= status < 404:
            return AuthenticationError(
                cause, "Check the access key id and the API secret of the m3ter credential."
            )
        if status in _REFUSALS:
            error, remedy = _REFUSALS[status]
            return error(cause, remedy)
        return RemoteError(cause, "Run it again later; if it stays so, tell m3ter's support.")

    def _unreachable(self, path: str, error: BaseException) -> RemoteError:
        reason = self._auth.redacted(f"{type(error).__name__}: {error}")
        return RemoteError(
            f"m3ter could not be asked for {path}, {self._retries} retries included: {reason}",
            "Check base_url, the network and any proxy on the way to m3ter; then run it again.",
        )


_REFUSALS: dict[int, tuple[type[SyncError], str]] = {
    401: (
        AuthenticationError,
        "Check that the access key of the m3ter credential is still active.",
    ),
    403: (
        AuthenticationError,
        "Give the service user a permission policy that allows config:retrieve.",
    ),
    404: (
        ConfigurationError,
        "Check organization_id and base_url of the m3ter credential.",
    ),
    429: (
        RateLimitError,
        "Wait for the next run; m3ter counts by the second and, for an address, over 5 minutes.",
    ),
}


def _is_for_token(response: httpx.Response) -> bool:
    return response.request.url.path.endswith(_TOKEN_PATH)


def _message(response: httpx.Response) -> str | None:
    """m3ter's ``message``; ``None`` where the answer has none."""
    try:
        return str(msgspec.json.decode(response.content, type=dict[str, object])["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


def _start(response: httpx.Response) -> str:
    """The start of whatever came instead of m3ter's ``message``."""
    return " ".join(response.text.split())[:200] or "no message"
