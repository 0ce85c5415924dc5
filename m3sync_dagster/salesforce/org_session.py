"""A session that is logged in to one org."""

from typing import Any
from urllib.parse import urlsplit

import requests

from m3sync_dagster.salesforce.api_versions import unsupported_version
from m3sync_dagster.salesforce.quota import Quota
from m3sync_dagster.salesforce.session import Connection, RetryingSession
from m3sync_dagster.salesforce.token_holder import TokenHolder
from m3sync_dagster.sync.errors import RemoteError

_BEARER = "Bearer "
_UNAUTHORIZED = 401
_NO_SUCH_ADDRESS = frozenset({404, 410})


class OrgSession(RetryingSession):
    """Sends every request with the current token, and renews it when it has ended.

    simple-salesforce sends over it too, so that its requests have what it lacks: a timeout,
    retries, a count, and errors that say what to do.

    Args:
        connection: as of ``RetryingSession``.
        tokens: holds the token.
        quota: learns from each answer.
        api_version: the version that requests ask for.
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
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        response = self._exchange_with_token(request, options)
        if response.status_code == _UNAUTHORIZED:
            self._tokens.renew(request.headers["Authorization"].removeprefix(_BEARER))
            response = self._exchange_with_token(request, options)
        return response

    def _exchange_with_token(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        token = self._tokens.token
        if urlsplit(request.url or "").netloc != token.instance:
            raise RemoteError(
                f"Salesforce named an address outside the org {token.instance}",
                "Report this: no token was sent there.",
            )
        request.headers["Authorization"] = _BEARER + token.value
        response = super()._exchange(request, options)
        self._quota.note(response.headers)
        return response

    def _refusal(self, response: requests.Response) -> Exception:
        """A resource that is not there may be one of a version that the org does not have."""
        versioned = urlsplit(response.request.url or "").path.startswith("/services/data/v")
        if response.status_code in _NO_SUCH_ADDRESS and versioned and not self._version_checked:
            self._version_checked = True
            base = f"https://{self._tokens.token.instance}"
            if error := unsupported_version(self, base, self._api_version):
                return error
        return super()._refusal(response)
