"""The access token that all threads of a run share."""

import threading
from collections.abc import Callable

from m3sync_dagster.salesforce.login import Token
from m3sync_dagster.sync.errors import AuthenticationError


class TokenHolder:
    """Logs in at the first need, and again when a token has ended.

    The lock is held through a login, so that threads that need a token wait for the one login.
    The login goes over a session of its own, which asks nothing of this holder.

    Args:
        log_in: fetches a token.
    """

    def __init__(self, log_in: Callable[[], Token]) -> None:
        self._log_in = log_in
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refused: AuthenticationError | None = None

    @property
    def token(self) -> Token:
        """The current token; logs in where there is none yet.

        Raises:
            SyncError: the login failed.
        """
        with self._lock:
            return self._token or self._fetch()

    def renew(self, ended: str) -> None:
        """Log in again, unless another thread has done so already.

        Args:
            ended: the token that Salesforce does not take any more.

        Raises:
            SyncError: the login failed.
        """
        with self._lock:
            if self._token and self._token.value == ended:
                self._fetch()

    def _fetch(self) -> Token:
        """Log in, unless the credential has been refused before: trying again may lock the user."""
        if self._refused:
            raise self._refused
        try:
            self._token = self._log_in()
        except AuthenticationError as error:
            self._refused = error
            raise
        return self._token
