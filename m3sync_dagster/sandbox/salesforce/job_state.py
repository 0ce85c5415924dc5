"""The states of a Bulk API 2.0 job as a client gets to see them.

Source: Salesforce Bulk API 2.0 guide, "Ingest Job States".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class State(StrEnum):
    """Where a job stands."""

    OPEN = "Open"
    UPLOAD_COMPLETE = "UploadComplete"
    IN_PROGRESS = "InProgress"
    JOB_COMPLETE = "JobComplete"
    FAILED = "Failed"
    ABORTED = "Aborted"


ENDED = frozenset({State.JOB_COMPLETE, State.FAILED, State.ABORTED})


@dataclass(slots=True)
class Progress:
    """A job's true state, and how often it was asked for since the job was closed.

    However fast the sandbox is, a client sees each state at least once, as it would in an org.
    """

    state: State = State.OPEN
    polls: int = 0

    def poll(self) -> State:
        """The state that one more question is answered with."""
        self.polls += self.state is not State.OPEN
        return self.seen

    @property
    def seen(self) -> State:
        """The state that the client has been told last."""
        if self.state in {State.OPEN, State.ABORTED}:
            return self.state
        if self.polls < 2:
            return State.UPLOAD_COMPLETE
        return self.state if self.polls > 2 and self.state in ENDED else State.IN_PROGRESS

    @property
    def ended(self) -> bool:
        """Whether the client knows that the job has ended."""
        return self.seen in ENDED


def timestamp() -> str:
    """The present in the form of job infos."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
