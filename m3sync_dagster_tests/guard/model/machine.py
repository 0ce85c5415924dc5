"""Arbitrary sequences of what can happen to integrations and to the guard."""

from collections.abc import Iterable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from m3sync_dagster_tests.guard.killed_ticks import ENTITIES
from m3sync_dagster_tests.guard.model.runs import End, Error, Kind, Launcher, Outcome
from m3sync_dagster_tests.guard.model.world import KILLED_AT, NAMES, World

NAME = st.sampled_from([*NAMES, NAMES[0], NAMES[0]])
"""Mostly the first integration, so that its failures add up."""
KINDS = st.sampled_from([Kind.HOUR, Kind.HOUR, *Kind])
LAUNCHERS = st.sampled_from(Launcher)
SELECTIONS = st.sampled_from([ENTITIES, ENTITIES, *((entity,) for entity in ENTITIES)])
ENTITY_ERRORS = st.sampled_from([None, Error.REMOTE, *Error])
ERRORS = st.sampled_from([Error.REMOTE, *Error])
FAILURES = st.sampled_from([Error.REMOTE, Error.REFUSED_KEY, Error.TIMEOUT])
ENTITY = st.sampled_from(ENTITIES)
OFTEN = st.sampled_from([3, 5, 8, 10])
DAYS = st.integers(1, 8)
PLACE = st.integers(0, 7)
FAILURE = Outcome(End.ERRORS, dict.fromkeys(ENTITIES, Error.REMOTE))


@st.composite
def outcomes(draw: st.DrawFn, entities: Iterable[str]) -> Outcome:
    """How a run of these entities ends."""
    end = draw(st.sampled_from([End.SUCCESS, End.ERRORS, End.ERRORS, *End]))
    if end is not End.ERRORS:
        return Outcome(end)
    errors = {entity: draw(ENTITY_ERRORS) for entity in entities}
    failed = {entity: error for entity, error in errors.items() if error}
    return Outcome(end, failed) if failed else Outcome(End.SUCCESS)


class Guard(RuleBasedStateMachine):
    """After each tick the guard agrees with the reference, whatever has happened."""

    world: ClassVar[World]
    examples: ClassVar[int]

    @classmethod
    def prepare(cls, world: World) -> None:
        """Say what the examples happen in, and count them from now on."""
        cls.world, cls.examples = world, 0

    def __init__(self) -> None:
        super().__init__()
        self.world.reset()
        type(self).examples += 1

    @initialize(enabled=st.sampled_from([NAMES, NAMES, NAMES[:1], ()]))
    def enable_some(self, enabled: Iterable[str]) -> None:
        for name in enabled:
            self.world.enable(name)

    @rule(
        name=NAME, kind=KINDS, launcher=LAUNCHERS, entities=SELECTIONS, joins=st.booleans(),
        data=st.data(),
    )  # fmt: skip
    def run(  # noqa: PLR0917 - what a run consists of
        self,
        name: str,
        kind: Kind,
        launcher: Launcher,
        entities: tuple[str, ...],
        joins: bool,
        data: st.DataObject,
    ) -> None:
        stored = self.world.begin({name: entities}, kind, launcher, same_tick=joins)
        self.world.end(stored, data.draw(outcomes(entities)))

    @rule(name=NAME, times=OFTEN, ticks=st.booleans(), data=st.data())
    def fail_often(self, name: str, times: int, ticks: bool, data: st.DataObject) -> None:
        """Let hours fail in one way, with or without a tick after each."""
        outcome = data.draw(st.just(FAILURE) | outcomes(ENTITIES))
        for _ in range(times):
            stored = self.world.begin({name: ENTITIES}, Kind.HOUR, Launcher.DAEMON)
            self.world.end(stored, outcome)
            if ticks:
                self.world.tick()

    @rule(name=NAME, times=st.integers(1, 9), start=st.booleans(), succeeds=st.booleans())
    def long_run(self, name: str, times: int, start: bool, succeeds: bool) -> None:
        """Let hours fail, or start the schedule again as well, while a run is at work."""
        long = self.world.begin({name: ENTITIES}, Kind.HOUR_BY_HAND, Launcher.COMMAND)
        if start:
            self.world.start(name)
        self._fail(name, times, FAILURE)
        self.world.end(long, Outcome(End.SUCCESS) if succeeds else FAILURE)
        self.world.tick()

    @rule(name=NAME, gaps=st.booleans(), errors=st.tuples(FAILURES, FAILURES), synced=ENTITY)
    def attempt(self, name: str, gaps: bool, errors: tuple[Error, Error], synced: str) -> None:
        """Two runs that count as one fail in an entity each; a success of one entity follows."""
        first = self.world.begin({name: ENTITIES}, Kind.HOUR, Launcher.DAEMON)
        self.world.end(first, Outcome(End.ERRORS, {ENTITIES[1]: errors[0]}))
        again = None if gaps else first
        second = self.world.begin(
            {name: ENTITIES}, Kind.HOUR, Launcher.DAEMON, again, same_tick=gaps
        )
        self.world.end(second, Outcome(End.ERRORS, {ENTITIES[0]: errors[1]}))
        self._sync(name, synced)

    @rule(name=NAME, errors=st.tuples(ERRORS, ERRORS), synced=ENTITY)
    def two_errors(self, name: str, errors: tuple[Error, Error], synced: str) -> None:
        """A run fails in two entities; a success of one of them follows."""
        run = self.world.begin({name: ENTITIES}, Kind.HOUR, Launcher.DAEMON)
        self.world.end(run, Outcome(End.ERRORS, dict(zip(ENTITIES, errors, strict=True))))
        self._sync(name, synced)

    def _sync(self, name: str, *entities: str) -> None:
        run = self.world.begin({name: entities}, Kind.HOUR_BY_HAND, Launcher.COMMAND)
        self.world.end(run, Outcome(End.SUCCESS))
        self.world.tick()

    @rule(name=NAME, times=OFTEN, command=st.booleans(), synced=st.booleans())
    def start_while_mail_waits(self, name: str, times: int, command: bool, synced: bool) -> None:
        self.world.refuse_mail()
        self._fail(name, times, FAILURE)
        self.world.tick()
        if synced:
            self._sync(name, *ENTITIES)
        (self.world.enable if command else self.world.start)(name)
        self.world.accept_mail()
        self.world.tick()

    @rule(name=NAME, hours=st.integers(140, 175), late=st.booleans())
    def week_between_failures(self, name: str, hours: int, late: bool) -> None:
        """A run that was created before the newest one may end long after it."""
        self._fail(name, 3, FAILURE)
        self.world.now += hours * 3_600.0
        long = self.world.begin({name: ENTITIES}, Kind.HOUR_BY_HAND, Launcher.COMMAND)
        self._fail(name, 1, FAILURE)
        self.world.now += 12 * 3_600.0 * late
        self.world.end(long, FAILURE)
        self.world.tick()

    def _fail(self, name: str, times: int, outcome: Outcome) -> None:
        for _ in range(times):
            stored = self.world.begin({name: ENTITIES}, Kind.HOUR, Launcher.DAEMON)
            self.world.end(stored, outcome)

    @rule(data=st.data())
    def run_of_both(self, data: st.DataObject) -> None:
        """A person selects the assets of both integrations in the UI."""
        both = dict.fromkeys(NAMES, ENTITIES)
        stored = self.world.begin(both, Kind.HOUR_BY_HAND, Launcher.UI)
        end = data.draw(st.sampled_from([End.SUCCESS, End.KILLED, End.NOT_STARTED, End.CANCELED]))
        self.world.end(stored, Outcome(end))

    @rule(name=NAME, kind=KINDS, launcher=LAUNCHERS, entities=SELECTIONS)
    def begin(self, name: str, kind: Kind, launcher: Launcher, entities: tuple[str, ...]) -> None:
        """A run that ends after others that are created later."""
        self.world.begin({name: entities}, kind, launcher)

    @rule(place=PLACE, data=st.data())
    def end(self, place: int, data: st.DataObject) -> None:
        if self.world.open:
            stored = self.world.open[place % len(self.world.open)]
            entities = sorted({one for run in stored.runs.values() for one in run.entities})
            self.world.end(stored, data.draw(outcomes(entities)))

    @rule(place=PLACE, entities=SELECTIONS, data=st.data())
    def execute_again(self, place: int, entities: tuple[str, ...], data: st.DataObject) -> None:
        """Execute one of the last failed runs again, all of it or some entities."""
        if self.world.failed:
            failed = self.world.failed[-1 - place % len(self.world.failed)]
            name, run = next(iter(failed.runs.items()))
            stored = self.world.begin({name: entities}, run.kind, failed.launcher, failed)
            self.world.end(stored, data.draw(outcomes(entities)))

    @rule(name=NAME)
    def enable(self, name: str) -> None:
        self.world.enable(name)

    @rule(name=NAME)
    def disable(self, name: str) -> None:
        self.world.disable(name)

    @rule(name=NAME)
    def start_in_ui(self, name: str) -> None:
        self.world.start(name)

    @rule(name=NAME)
    def stop_in_ui(self, name: str) -> None:
        self.world.stop(name)

    @rule(name=NAME)
    def undo_stop(self, name: str) -> None:
        self.world.undo_stop(name)

    @rule(days=DAYS)
    def days_pass(self, days: int) -> None:
        self.world.now += days * 86_400.0 - 1_800.0

    @rule()
    def refuse_mail(self) -> None:
        self.world.refuse_mail()

    @rule()
    def accept_mail(self) -> None:
        self.world.accept_mail()

    @rule()
    def tick(self) -> None:
        self.world.tick()

    @rule()
    def tick_of_new_process(self) -> None:
        self.world.tick_of_new_process()

    @rule(instant=st.sampled_from(KILLED_AT))
    def killed_tick(self, instant: str) -> None:
        self.world.killed_tick(instant)

    def teardown(self) -> None:
        """A recovery and the failures after it are two changes, one in each tick."""
        self.world.accept_mail()
        self.world.tick()
        self.world.tick()
