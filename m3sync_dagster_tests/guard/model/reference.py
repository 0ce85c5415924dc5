"""What the guard has to do: the words of ``docs/from-m3ter.md`` as a program.

It covers "Which runs count as failures" and "How reliable a message is", and shares no code with
the product.
"""

from dataclasses import dataclass, field

from m3sync_dagster_tests.guard.model.runs import End, Error, Kind, Run

WEEK = 7 * 24 * 3600.0
COUNTED_KINDS = {Kind.HOUR, Kind.CATCH_UP, Kind.HOUR_BY_HAND}
NO_FAILURE = {Error.QUOTA, Error.SLOW, Error.OTHER_WRITER}
FAILED = {End.ERRORS, End.KILLED, End.NOT_STARTED}


def failed_entities(run: Run) -> set[str]:
    """The entities whose failure counts; empty if the run does not count."""
    assert run.outcome
    if run.kind not in COUNTED_KINDS or run.outcome.end not in FAILED:
        return set()
    errors = run.outcome.errors.items()
    counted = {entity for entity, error in errors if error not in NO_FAILURE}
    return counted if run.outcome.end is End.ERRORS else set(run.entities)


@dataclass
class Reference:
    """One integration: its runs, its state, and the messages about it.

    Args:
        entities: its entities.
        running, started: its schedule, and when it was last started.
        cleared: the start of the schedule that the guard saw last: it cleared the count.
        known_from: the guard knows the runs that ended after this.
        level: of the last message about failures: 5, 8 or 10; 0 after a start or a recovery.
        notified: when the last run of that message ended; ``None`` after a recovery.
        waiting: the message that is not sent yet.
        messages: those that each receiver has.
    """

    entities: frozenset[str]
    runs: list[Run] = field(default_factory=list)
    running: bool = False
    started: float = 0.0
    cleared: float = 0.0
    known_from: float = 0.0
    disabled: bool = False
    level: int = 0
    notified: float | None = None
    waiting: str | None = None
    messages: list[str] = field(default_factory=list)

    def failures(self) -> list[Run]:
        return [run for run in self.runs if run.ended >= self.known_from and failed_entities(run)]

    def synced(self, entity: str) -> float:
        """When the last run that synced an entity ended."""
        return max((run.ended for run in self.runs if self._syncs(run, entity)), default=0.0)

    def _syncs(self, run: Run, entity: str) -> bool:
        assert run.outcome
        known = run.ended > self.known_from and entity in run.entities
        return known and run.outcome.end is End.SUCCESS

    def streak(self) -> dict[str, float]:
        """The attempts that have failed in a row, and when each of them ended."""
        return {
            run.attempt: run.ended
            for run in sorted(self.failures(), key=lambda run: run.ended)
            if run.created > self.cleared
            and any(self.synced(entity) <= run.ended for entity in failed_entities(run))
        }

    def works_again(self) -> bool:
        """Whether everything that failed up to the last message has been synced since."""
        if self.notified is None:
            return False
        last = {
            entity: run.ended
            for run in sorted(self.failures(), key=lambda run: run.ended)
            for entity in failed_entities(run)
            if run.ended <= self.notified
        } or dict.fromkeys(self.entities, self.notified)
        return all(self.synced(entity) > ended for entity, ended in last.items())

    def tick(self, known_from: float) -> bool:
        """A tick of the guard, without the delivery; whether it stops the schedule."""
        self.known_from = known_from
        if self.running and self.started != self.cleared:
            self.clear()
        streak = self.streak()
        if not self.disabled:
            reached = max((level for level in (5, 8, 10) if len(streak) >= level), default=0)
            if self.running and reached == 10:
                self.disabled = True
                self._fail(10, "is disabled")
            elif self.works_again():
                self.level, self.notified, self.waiting = 0, None, "works again"
            elif self.running and reached > self.level:
                self._fail(reached, f"has failed {reached} times in a row")
        stops, self.running = self.running and self.disabled, self.running and not self.disabled
        return stops

    def _fail(self, level: int, message: str) -> None:
        self.level, self.notified, self.waiting = level, max(self.streak().values()), message

    def clear(self) -> None:
        """The schedule was started: the count starts again at 0."""
        if self.level or self.disabled:
            self.waiting = None
        self.cleared, self.level, self.disabled = self.started, 0, False

    def deliver(self) -> None:
        if self.waiting:
            self.messages.append(self.waiting)
            self.waiting = None
