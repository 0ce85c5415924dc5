"""An HTTP session that is logged in to one org."""

from urllib.parse import urlsplit

import requests

from m3sync_dagster.salesforce.api_versions import unsupported_version
from m3sync_dagster.salesforce.quota import Quota
from m3sync_dagster.salesforce.retrying_session import Connection, RetryingSession, SendOptions
from m3sync_dagster.salesforce.token_holder import TokenHolder
from m3sync_dagster.sync.errors import RemoteError

_BEARER = "Bearer "
_UNAUTHORIZED = 401
_NO_SUCH_ADDRESS = frozenset({404, 410})


class LoggedInSession(RetryingSession):
    """Sends every request with the current token, and renews the token after a 401.

    simple-salesforce uses this session too, so that its requests have a timeout and retries, are
    counted, and raise our errors.

    Args:
        connection: as of ``RetryingSession``.
        tokens: the token that all threads share.
        quota: reads the headers of each response.
        api_version: the version in the paths of requests.
    """

    def __init__(
        self, connection: Connection, tokens: TokenHolder, quota: Quota, api_version: str
    ) -> None:
        super().__init__(connection)
        self._tokens = tokens
        self._quota = quota
        self._api_version = api_version
        self._version_checked = False

    def _exchange(
        self, request: requests.PreparedRequest, options: SendOptions
    ) -> requests.Response:
        response = self._exchange_with_token(request, options)
        if response.status_code == _UNAUTHORIZED:
            self._tokens.renew(request.headers["Authorization"].removeprefix(_BEARER))
            response = self._exchange_with_token(request, options)
        return response

    def _exchange_with_token(
        self, request: requests.PreparedRequest, options: SendOptions
    ) -> requests.Response:
        token = self._tokens.token()
        if urlsplit(request.url or "").netloc != token.instance:
            raise RemoteError(
                f"Salesforce's response has a URL outside the org {token.instance}",
                "Report this message. No token was sent.",
            )
        request.headers["Authorization"] = _BEARER + token.value
        response = super()._exchange(request, options)
        self._quota.read_headers(response.headers)
        return response

    def _response_error(self, response: requests.Response) -> Exception:
        """A missing resource may mean that the org does not have the API version."""
        versioned = urlsplit(response.request.url or "").path.startswith("/services/data/v")
        if response.status_code in _NO_SUCH_ADDRESS and versioned and not self._version_checked:
            self._version_checked = True
            base = f"https://{self._tokens.token().instance}"
            if error := unsupported_version(self, base, self._api_version):
                return error
        return super()._response_error(response)
