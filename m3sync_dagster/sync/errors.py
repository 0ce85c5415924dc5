"""What can stop a sync, as a small tree. Each class says what the caller should do.

::

    SyncError                  the run failed; read the cause
    ├── AuthenticationError    a credential is refused: do not try again before it is changed
    ├── ConfigurationError     the configuration does not fit: nothing was sent; change it
    ├── MissingParentError     rows wait for a parent: it has to come first
    ├── RateLimitError         a quota is used up: the next run goes on where this one stopped
    ├── DeadlineError          a remote job outlived its deadline: the next run picks it up
    ├── IntegrationLockedError another run writes the integration: nothing was sent; wait for it
    └── RemoteError            a system cannot be reached or answers nonsense: try again later
"""

from copy import copy
from typing import Self


class SyncError(Exception):
    """A sync that could not reach its end.

    Args:
        cause: what happened, naming the integration, entity, record or field as far as known.
        remedy: what a person can do about it, as an imperative sentence.
    """

    status = "ERROR"
    """m3ter's status word for a run that ends so."""
    event = "integration.perform.error"
    """m3ter's name of the event that tells of it."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def with_remedy(self, remedy: str) -> Self:
        """Give the same error with another remedy."""
        changed = copy(self)
        changed.remedy, changed.args = remedy, (self.cause, remedy)
        return changed

    def __str__(self) -> str:
        return f"{self.cause.rstrip('.')}. {self.remedy}"


class AuthenticationError(SyncError):
    """m3ter or Salesforce refuses the credential."""

    status = "AUTH_FAILED"
    event = "integration.authentication.error"


class ConfigurationError(SyncError):
    """The YAML, the environment or the org's objects and fields do not fit together.

    Args:
        cause, remedy: as for every ``SyncError``.
        where: the path of the YAML attribute at fault, such as ``("entities", "account",
            "fields", "name")``; from it the reader of the file finds the line.
    """

    event = "integration.validation.error"

    def __init__(self, cause: str, remedy: str, where: tuple[str, ...] = ()) -> None:
        super().__init__(cause, remedy)
        self.where = where


class MissingParentError(SyncError):
    """Rows point to a record that is not in Salesforce."""

    event = "integration.missingaccountmapping.error"


class RateLimitError(SyncError):
    """m3ter's or Salesforce's quota is used up for now."""

    status = "RATE_LIMIT_RETRY"


class DeadlineError(SyncError):
    """A Salesforce job did not end in the time that a run has.

    Args:
        cause, remedy: as for every ``SyncError``.
        advanced: whether the job was still advancing when the run stopped waiting for it.
    """

    status = "TIMEOUT_LIMIT_EXCEEDED"

    def __init__(self, cause: str, remedy: str, *, advanced: bool = False) -> None:
        super().__init__(cause, remedy)
        self.advanced = advanced


class RemoteError(SyncError):
    """m3ter or Salesforce is unreachable, or answered in a way that nobody documents."""


class IntegrationLockedError(SyncError):
    """Another run is writing the integration, so this one has sent nothing."""
