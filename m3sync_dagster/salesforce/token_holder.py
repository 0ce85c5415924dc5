"""The access token that all threads of a run share."""

import threading
from collections.abc import Callable

from m3sync_dagster.salesforce.login import Token
from m3sync_dagster.sync.errors import AuthenticationError, RateLimitError, SyncError
from m3sync_dagster.sync.interfaces import LoginLog


class TokenHolder:
    """Logs in when a token is first needed, and again when the token has expired.

    The lock is held during a login, so that other threads wait for it. The login uses another
    session, which does not use this class.

    Args:
        log_in: requests a token.
        logins: records each login, if it is given.
    """

    def __init__(self, log_in: Callable[[], Token], logins: LoginLog | None = None) -> None:
        self._log_in = log_in
        self._logins = logins
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refused: AuthenticationError | None = None

    def token(self) -> Token:
        """The current token; logs in if there is none yet.

        Raises:
            SyncError: the login failed.
        """
        with self._lock:
            return self._token or self._fetch()

    def renew(self, expired: str) -> None:
        """Log in again, unless another thread has already done so.

        Args:
            expired: the token that Salesforce no longer accepts.

        Raises:
            SyncError: the login failed.
        """
        with self._lock:
            if self._token and self._token.value == expired:
                self._fetch()

    def _fetch(self) -> Token:
        """Log in, unless the credential was refused before: another attempt may lock the user."""
        if self._refused:
            raise self._refused
        try:
            self._token = self._log_in()
        except SyncError as error:
            if isinstance(error, AuthenticationError):
                self._refused = error
            if self._logins and not isinstance(error, RateLimitError):
                self._logins.failed(error)
            raise
        if self._logins:
            self._logins.succeeded(self._token.organization_id, self._token.browser_url)
        return self._token
