"""The states of a Bulk API 2.0 job as a client sees them.

Source: Salesforce Bulk API 2.0 guide, "Ingest Job States".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from m3sync_dagster.sandbox.salesforce.errors import ApiError


class State(StrEnum):
    """The state of a job."""

    OPEN = "Open"
    UPLOAD_COMPLETE = "UploadComplete"
    IN_PROGRESS = "InProgress"
    JOB_COMPLETE = "JobComplete"
    FAILED = "Failed"
    ABORTED = "Aborted"


FINAL_STATES = frozenset({State.JOB_COMPLETE, State.FAILED, State.ABORTED})


@dataclass(slots=True)
class Progress:
    """A job's actual state, and how often a client asked for it since the job was closed.

    However fast the sandbox is, a client sees each state at least once, as it would in an org.
    """

    state: State = State.OPEN
    polls: int = 0

    def poll(self) -> State:
        """Counts one request for the state, and returns the state to answer with."""
        self.polls += self.state is not State.OPEN
        return self.seen

    @property
    def seen(self) -> State:
        """The state that the client was last given."""
        if self.state in {State.OPEN, State.ABORTED}:
            return self.state
        if self.polls < 2:
            return State.UPLOAD_COMPLETE
        return self.state if self.polls > 2 and self.state in FINAL_STATES else State.IN_PROGRESS

    @property
    def ended(self) -> bool:
        """Whether the client was given a final state."""
        return self.seen in FINAL_STATES

    def check_deletable(self) -> None:
        """Raises ``ApiError`` unless the job has ended."""
        if not self.ended:
            message = "Error encountered when deleting the job because the job is not terminated"
            raise ApiError(400, "API_ERROR", message)


def state_error(message: str) -> ApiError:
    """The error for a request that the job's state does not allow."""
    return ApiError(400, "INVALIDJOBSTATE", message)


def already_ended() -> ApiError:
    """The error for aborting a job that has ended."""
    return state_error("Aborting already Completed Job not allowed")


def timestamp() -> str:
    """The current time in the format of job infos."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
