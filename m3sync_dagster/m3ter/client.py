"""Asking m3ter: one token, the SDK's transport and retries, and errors that say what to do.

Source: m3ter API reference, "Authentication"; m3ter guides, "Config API limits".
"""

import base64
import math
import threading
import time
from collections.abc import Callable, Generator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import msgspec

from m3sync_dagster.http_settings import httpx_options
from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.failures import (
    TOKEN_PATH,
    is_for_token,
    is_lasting,
    is_web_page,
    message_of,
    no_token,
    refusal,
    unreachable,
    web_page,
)
from m3sync_dagster.sync.errors import SyncError

if TYPE_CHECKING:
    from m3ter import M3ter

RETRIES = 8
"""How often a request is sent again, about 40 seconds in all unless m3ter names a time itself."""
MARGIN_SECONDS = 300.0
"""How long before its end a token is renewed."""

_FAILURE = "m3sync.failure"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


LIFETIME_SECONDS = 18_000.0
"""How long a token lasts where m3ter's answer does not say it. Source: m3ter API reference."""


class _Token(msgspec.Struct):
    """m3ter's answer to a request for a token; RFC 6749 does not require ``expires_in``."""

    access_token: str
    expires_in: float | str | None = None

    @property
    def lifetime(self) -> float:
        """Seconds; what is said to last no time at all would be asked for again and again."""
        try:
            seconds = float(self.expires_in or 0)
        except ValueError:
            seconds = 0
        return seconds if 0 < seconds < math.inf else LIFETIME_SECONDS


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
        self._url = credential.base_url.rstrip("/") + TOKEN_PATH
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
                    self._keep(response, asked)
            return self._token

    def _request(self, request: httpx.Request) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._url,
            headers={"Authorization": f"Basic {self._basic}", "Accept": "application/json"},
            data={"grant_type": "client_credentials"},
            extensions={"timeout": request.extensions["timeout"]},
        )

    def _keep(self, response: httpx.Response, asked: float) -> None:
        try:
            token = msgspec.json.decode(response.read(), type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise no_token(response, str(error), self.redacted) from None
        self._token = token.access_token
        lifetime = token.lifetime
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
            raise refusal(path, response, self._auth.redacted)
        return _body(path, response, self._auth.redacted)

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
        missing = response.status_code == httpx.codes.NOT_FOUND and not is_for_token(response)
        if missing and message_of(response) is not None:
            return None
        if not response.is_success:
            raise refusal(path, response, self._auth.redacted)
        return _body(path, response, self._auth.redacted)

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
            http_client=_HttpClient(
                auth=self._auth,
                timeout=_TIMEOUT,
                event_hooks={"request": [self._before_request]},
                **httpx_options(self._credential.base_url),
            ),
        )

    def _ask(self, path: str, query: Mapping[str, str | int]) -> httpx.Response:
        """m3ter's answer, an error's included."""
        from m3ter import APIConnectionError, APIStatusError  # noqa: PLC0415 - slow to import

        try:
            response = self._sdk.get(
                self._root + path, cast_to=httpx.Response, options={"params": dict(query)}
            )
        except APIStatusError as error:
            response = error.response
        except APIConnectionError as error:
            cause = error.__cause__ or error
            raise unreachable(path, cause, self._retries, self._auth.redacted) from None
        if (failure := response.extensions.get(_FAILURE)) is None:
            return response
        if isinstance(failure, SyncError):
            raise failure from None
        raise unreachable(path, failure, 0, self._auth.redacted) from None

    def _before_request(self, _request: httpx.Request) -> None:
        self._take_permit()
        self.requests += 1


class _HttpClient(httpx.Client):
    """Hands up as an answer what another try would not change.

    The SDK tries again after every exception, ours included, but never after an answer with
    ``x-should-retry: false``.
    """

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 - as httpx has it
        """Send a request, and note in the answer's extensions what keeps it from being sent."""
        try:
            return super().send(request, **options)
        except (SyncError, httpx.TransportError) as error:
            if not isinstance(error, SyncError) and not is_lasting(error):
                raise
            return httpx.Response(
                httpx.codes.BAD_GATEWAY,
                headers={"x-should-retry": "false"},
                request=request,
                extensions={_FAILURE: error},
            )


def _body(path: str, response: httpx.Response, redacted: Callable[[str], str]) -> bytes:
    """The body, unless something else than m3ter has answered."""
    if is_web_page(response):
        raise web_page(path, response, redacted)
    return response.content
