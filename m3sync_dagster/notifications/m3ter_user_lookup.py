"""Looking up the addresses of m3ter's users, for all m3ter organizations side by side."""

import queue
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Semaphore

import psycopg

from m3sync_dagster.guard.guarded_integration import GuardedIntegration, Person, UserDirectory
from m3sync_dagster.notifications.smtp import usable
from m3sync_dagster.notifications.threads_with_deadline import BackgroundTask, start_task
from m3sync_dagster.state import connect, postgres_url, storable
from m3sync_dagster.state.user_addresses import (
    read_addresses,
    stale_users,
    write_address,
    write_lookup_result,
)
from m3sync_dagster.sync.errors import SyncError

PREFER_CURRENT = 2.0
"""Seconds for which a current address is waited for although an earlier one is known."""
LONGEST = 8.0
"""Seconds for which an unknown address is waited for."""
AT_ONCE = 16
"""Organizations that are asked at the same time: each takes a connection to PostgreSQL."""


@dataclass(eq=False)
class Lookup:
    """The look-up of some users of one m3ter organization.

    Args:
        directory: the organization.
        ids: the users' ids.
        found: those that m3ter knows.
        error: why it failed, if it did.
        complete: whether m3ter has answered for every user.
        known_before: addresses from earlier look-ups.
    """

    directory: UserDirectory
    ids: Sequence[str]
    found: dict[str, Person] = field(default_factory=dict)
    error: str | None = None
    complete: bool = False
    known_before: Mapping[str, Person] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What to call it."""
        return f"looking up users with the m3ter credential {self.directory.credential}"

    def person(self, user_id: str) -> Person | None:
        """The user as m3ter says now, or else as it said before; ``None`` if never."""
        if self.complete:
            return self.found.get(user_id)
        return self.found.get(user_id) or self.known_before.get(user_id)

    @property
    def reason(self) -> str:
        """Why a user's address is not known."""
        return self.error or "m3ter has not answered yet"

    @property
    def satisfied(self) -> bool:
        """Whether every user has an address, be it from before."""
        people = (self.person(user_id) for user_id in self.ids)
        return all(person and usable(person.email) for person in people)

    def run(self, at_once: Semaphore) -> Iterable[str]:
        """Ask m3ter, and write down what it says."""
        with at_once, connect(postgres_url()) as connection:
            try:
                self._ask(connection)
            except SyncError as error:
                self.error = str(error)
            write_lookup_result(connection, self.directory.credential, self.error)
        return ()

    def _ask(self, connection: psycopg.Connection) -> None:
        credential = self.directory.credential
        with self.directory.open() as directory:
            for person in directory.users(self.ids):
                write_address(connection, credential, person.id, person.name, person.email)
                self.found[person.id] = person
        for user_id in set(self.ids) - self.found.keys():
            write_address(connection, credential, user_id, "", None)
        self.complete = True


def look_up(
    connection: psycopg.Connection,
    wanted: Mapping[str, tuple[UserDirectory, Sequence[str]]],
    deadline: float,
) -> Iterator[list[Lookup]]:
    """Look users up, and give the look-ups in the order in which their result can be used.

    None waits long for another: those that are answered soon come together and first, then those
    of which every address was known before, and an organization that does not answer comes last.

    Args:
        connection: to our tables.
        wanted: organizations and ids of their users, by the name of the credential.
        deadline: when to stop waiting (``time.monotonic``).
    """
    begun = time.monotonic()
    answers: queue.SimpleQueue[Lookup] = queue.SimpleQueue()
    at_once = Semaphore(AT_ONCE)
    waiting: list[Lookup] = []
    blocked: list[Lookup] = []
    for credential, (directory, ids) in wanted.items():
        lookup = Lookup(directory, ids, known_before=read_addresses(connection, credential, ids))
        task = start_task(postgres_url(), lookup.name, partial(_answer, lookup, at_once, answers))
        (waiting if task else blocked).append(lookup)
    first = list(_as_answered(waiting, answers, min(deadline, begun + PREFER_CURRENT)))
    yield first + blocked + [lookup for lookup in waiting if lookup.satisfied]
    waiting = [lookup for lookup in waiting if not lookup.satisfied]
    for lookup in _as_answered(waiting, answers, min(deadline, begun + LONGEST)):
        yield [lookup]
    yield waiting


def _answer(
    lookup: Lookup, at_once: Semaphore, answers: "queue.SimpleQueue[Lookup]"
) -> Iterable[str]:
    try:
        return lookup.run(at_once)
    finally:
        answers.put(lookup)


def _as_answered(
    waiting: list[Lookup], answers: "queue.SimpleQueue[Lookup]", deadline: float
) -> Iterator[Lookup]:
    """Give look-ups as they end, until the deadline, and remove them from the list."""
    while waiting:
        try:
            lookup = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        if lookup in waiting:
            waiting.remove(lookup)
            yield lookup


def refresh(
    connection: psycopg.Connection, integrations: Iterable[GuardedIntegration]
) -> list[BackgroundTask]:
    """Start look-ups of users whose address is older than a day, or not known yet.

    So the address is there on the day on which m3ter cannot be asked.
    """
    directories: dict[str, UserDirectory] = {}
    wanted = set()
    for integration in integrations:
        directory = integration.directory
        directories[directory.credential] = directory
        # An id that PostgreSQL cannot hold is no id of m3ter's.
        ids = (user_id for user_id in integration.users if storable(user_id) == user_id)
        wanted |= {(directory.credential, user_id) for user_id in ids}
    if not wanted:
        return []
    at_once = Semaphore(AT_ONCE)
    tasks = []
    for credential, users in stale_users(connection, wanted).items():
        lookup = Lookup(directories[credential], users)
        tasks.append(start_task(postgres_url(), lookup.name, partial(lookup.run, at_once)))
    return [task for task in tasks if task]
