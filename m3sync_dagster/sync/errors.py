"""The errors that stop a sync, a command or a check. Each class tells the caller how to react.

::

    SyncError                     the run failed: read the cause
    ├── AuthenticationError       a credential is refused: change it before the next attempt
    ├── ConfigurationError        the configuration does not fit; nothing was sent: change it
    │   ├── NotFoundError         Salesforce has nothing at the requested URL
    │   ├── SchemaMismatchError   the org's objects and fields do not fit the mapping
    │   ├── UnknownPrefixError    the prefix of m3ter's managed package is not in the YAML
    │   └── UnclearYamlError      defs.yaml has a duplicate key or an ambiguous value
    ├── DeadlineError             a Salesforce job took too long: the next run reads its results
    ├── DisabledError             the guard has stopped the schedule of an integration
    ├── IntegrationLockedError    another run writes the integration; nothing was sent: wait for it
    ├── MissingLinkError      accounts have no link to the CRM: give each one in m3ter
    ├── MissingParentError        rows wait for a parent record: sync the parent first
    ├── RateLimitError            a quota is used up: the next run sends the rest
    └── RemoteError               a system is unreachable or its answer is unusable: try again later
        ├── JobStateError         an ingest job is in a state that does not allow the request
        └── UnreadableBodyError   Salesforce cannot read a request body, and accepts no row of it
"""

from copy import copy
from typing import Self

from m3sync_dagster.sync.printable_text import printable


class SyncError(Exception):
    """A failure with its cause and its remedy.

    Args:
        cause: what happened, naming the integration, entity, record or field as far as known. It
            may repeat texts from outside: their control characters become escapes.
        remedy: what a person can do about it, as an imperative sentence.
    """

    status = "ERROR"
    """m3ter's status word for a run that ends so."""
    event = "integration.perform.error"
    """m3ter's name of the event that reports it."""

    def __init__(self, cause: str, remedy: str) -> None:
        self.cause = printable(cause)
        self.remedy = remedy
        super().__init__(self.cause, remedy)

    def with_remedy(self, remedy: str) -> Self:
        """Give the same error with another remedy."""
        changed = copy(self)
        changed.remedy, changed.args = remedy, (self.cause, remedy)
        return changed

    def with_cause(self, cause: str) -> Self:
        """Give the same error with another cause."""
        changed = copy(self)
        changed.cause = printable(cause)
        changed.args = (changed.cause, self.remedy)
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
            "fields", "name")``; it is used to find the line in the file.
    """

    event = "integration.validation.error"

    def __init__(self, cause: str, remedy: str, where: tuple[str, ...] = ()) -> None:
        super().__init__(cause, remedy)
        self.where = where


class MissingParentError(SyncError):
    """Rows point to a record that is not in Salesforce."""

    event = "integration.missingaccountmapping.error"


class MissingLinkError(SyncError):
    """Accounts were sent without a link to a record of the CRM."""

    event = "integration.missingaccountmapping.error"


class RateLimitError(SyncError):
    """m3ter's or Salesforce's quota is used up for now."""

    status = "RATE_LIMIT_RETRY"


class DeadlineError(SyncError):
    """A Salesforce job did not end within the time limit of a run.

    Args:
        cause, remedy: as for every ``SyncError``.
        advanced: whether the job was still advancing when the run stopped waiting for it.
    """

    status = "TIMEOUT_LIMIT_EXCEEDED"

    def __init__(self, cause: str, remedy: str, *, advanced: bool = False) -> None:
        super().__init__(cause, remedy)
        self.advanced = advanced


class RemoteError(SyncError):
    """m3ter, Salesforce or PostgreSQL is unreachable, or its answer is unusable."""


class IntegrationLockedError(SyncError):
    """Another run writes the integration, so this one has sent nothing."""
