"""HTTP requests to m3ter: one token, the SDK's transport and retries, and our errors.

Source: m3ter API reference, "Authentication"; m3ter guides, "Config API limits".
"""

import base64
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import msgspec

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.request_errors import (
    TOKEN_PATH,
    connection_error,
    is_for_token,
    is_permanent,
    is_web_page,
    message_of,
    require_whole,
    response_error,
    token_error,
    web_page_error,
)
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.tls_and_proxy import httpx_options

if TYPE_CHECKING:
    from m3ter import M3ter

RETRIES = 8
"""Retries of a request: about 40 seconds in all, unless m3ter sends a ``Retry-After``."""
MARGIN_SECONDS = 300.0
"""Seconds before its expiry at which a token is renewed."""

_FAILURE = "m3sync.failure"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


LIFETIME_SECONDS = 18_000.0
"""Lifetime of a token where m3ter's response has none. Source: m3ter API reference."""


class _Token(msgspec.Struct):
    """m3ter's token response; RFC 6749 does not require ``expires_in``."""

    access_token: str
    expires_in: float | str | None = None

    @property
    def lifetime(self) -> float:
        """Lifetime in seconds; replaced if invalid or zero, or each request would need a token."""
        try:
            seconds = float(self.expires_in or 0)
        except ValueError:
            seconds = 0
        return seconds if 0 < seconds < math.inf else LIFETIME_SECONDS


class TokenAuth(httpx.Auth):
    """Adds the token to each request; requests it once, and renews it before expiry or after a 401.

    The SDK would request a new token before every request, retries included, because it misreads
    ``expires_in``; that doubles the requests that count for the organization's limit. So the
    token is managed here, below the SDK. An error response to a token request is returned as the
    response, so that the SDK retries it like any other.

    Args:
        credential: the access key.
        clock: monotonic seconds.
    """

    def __init__(self, credential: M3terAccessKey, clock: Callable[[], float]) -> None:
        self._url = credential.base_url.rstrip("/") + TOKEN_PATH
        key = f"{credential.access_key_id}:{credential.api_secret}"
        self._basic = base64.b64encode(key.encode()).decode()
        self._secrets = (credential.api_secret, self._basic)
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._valid_until = 0.0

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a token, and once more with a new token after a 401."""
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
        """Replace every secret in a text; a server may have echoed one."""
        for secret in (*self._secrets, self._token):
            text = text.replace(secret, "***") if secret else text
        return text

    def _current(
        self, request: httpx.Request, refused: str | None
    ) -> Generator[httpx.Request, httpx.Response, str | None]:
        """The token; ``None`` after an error. ``refused`` is one that m3ter no longer accepts."""
        with self._lock:
            if self._token in (None, refused) or self._clock() >= self._valid_until:
                requested = self._clock()
                response = yield self._request(request)
                self._token = None
                if response.is_success:
                    self._store(response, requested)
            return self._token

    def _request(self, request: httpx.Request) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._url,
            headers={"Authorization": f"Basic {self._basic}", "Accept": "application/json"},
            data={"grant_type": "client_credentials"},
            extensions={"timeout": request.extensions["timeout"]},
        )

    def _store(self, response: httpx.Response, requested: float) -> None:
        body = response.read()
        require_whole(response)
        try:
            token = msgspec.json.decode(body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise token_error(response, str(error), self.redacted) from None
        self._token = token.access_token
        lifetime = token.lifetime
        self._valid_until = requested + lifetime - min(MARGIN_SECONDS, lifetime / 10)


class Client:
    """One organization's API, through the m3ter SDK. Safe for use by several threads.

    Args:
        credential: the access key.
        take_permit: waits until one more request may be sent; called before each request,
            including token requests and retries.
        retries: retries after 408, 409, 429, 5xx or a lost connection.
        clock: monotonic seconds, for the expiry of tokens.
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
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self.requests = 0
        """HTTP requests sent so far, including token requests and retries."""

    def get(self, path: str, query: Mapping[str, str | int]) -> bytes:
        """Read a path below the organization.

        Args:
            path: for example ``accounts``.
            query: its parameters.

        Returns:
            The body of the response.

        Raises:
            AuthenticationError: m3ter refuses the credential, or it lacks a permission.
            ConfigurationError: m3ter does not know the organization or the path.
            RateLimitError: m3ter still responds 429 after the retries.
            RemoteError: m3ter cannot be reached, or responds with another error.
        """
        response = self._send(path, query)
        if not response.is_success:
            raise response_error(path, response, self._auth.redacted)
        return _body(path, response, self._auth.redacted)

    def find(self, path: str) -> bytes | None:
        """Read one record below the organization.

        For a record that does not exist, m3ter responds 404 with a JSON ``message``. A 404
        without one does not come from m3ter, so the record may exist.

        Source: m3ter's OpenAPI description, responses ``4XX``.

        Args:
            path: for example ``accounts/0c7f``.

        Returns:
            The body of the response; ``None`` where the record does not exist.

        Raises:
            SyncError: as for ``get``.
        """
        response = self._send(path, {})
        missing = response.status_code == httpx.codes.NOT_FOUND and not is_for_token(response)
        if missing and message_of(response) is not None:
            return None
        if not response.is_success:
            raise response_error(path, response, self._auth.redacted)
        return _body(path, response, self._auth.redacted)

    def close(self) -> None:
        """Close the connections to m3ter, at the end of the requests that other threads wait for.

        A connection that another thread reads from must not be closed: the system may give its
        number to another file or connection at once.
        """
        with self._lock:
            self._closed = True
            self._close_unused()

    @cached_property
    def _sdk(self) -> "M3ter":
        from m3ter import M3ter  # noqa: PLC0415 - slow to import, and only a run needs it

        unused = "TokenAuth adds the token"
        return M3ter(
            org_id=self._credential.organization_id,
            base_url=self._credential.base_url,
            api_key=unused,
            api_secret=unused,
            token=unused,
            max_retries=self._retries,
            http_client=_HttpClient(
                auth=self._auth,
                timeout=_TIMEOUT,
                event_hooks={"request": [self._before_request]},
                **httpx_options(self._credential.base_url),
            ),
        )

    def _send(self, path: str, query: Mapping[str, str | int]) -> httpx.Response:
        """Send a GET request, and give the response, also an error response."""
        from m3ter import APIConnectionError, APIStatusError  # noqa: PLC0415 - slow to import

        try:
            with self._open():
                response = self._sdk.get(
                    self._root + path, cast_to=httpx.Response, options={"params": dict(query)}
                )
        except APIStatusError as error:
            response = error.response
        except APIConnectionError as error:
            cause = error.__cause__ or error
            raise connection_error(path, cause, self._retries, self._auth.redacted) from None
        if (failure := response.extensions.get(_FAILURE)) is None:
            return response
        if isinstance(failure, SyncError):
            raise failure from None
        raise connection_error(path, failure, 0, self._auth.redacted) from None

    def _before_request(self, _request: httpx.Request) -> None:
        self._take_permit()
        with self._lock:
            self.requests += 1

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Keep the connections open during the block."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                self._close_unused()

    def _close_unused(self) -> None:
        if self._closed and not self._waiting and "_sdk" in self.__dict__:
            self._sdk.close()


class _HttpClient(httpx.Client):
    """Turns permanent errors into responses, so that the SDK does not retry them.

    The SDK retries after every exception, ours included, but never after a response with
    ``x-should-retry: false``.
    """

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 - as httpx has it
        """Send a request; a permanent error is put into the extensions of the response."""
        try:
            response = super().send(request, **options)
            require_whole(response)
        except (SyncError, httpx.TransportError) as error:
            if not isinstance(error, SyncError) and not is_permanent(error):
                raise
            return httpx.Response(
                httpx.codes.BAD_GATEWAY,
                headers={"x-should-retry": "false"},
                request=request,
                extensions={_FAILURE: error},
            )
        return response


def _body(path: str, response: httpx.Response, redacted: Callable[[str], str]) -> bytes:
    """The body of a response, unless the response is a web page."""
    if is_web_page(response):
        raise web_page_error(path, response, redacted)
    return response.content
