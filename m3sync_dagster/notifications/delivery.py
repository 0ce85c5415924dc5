"""Sending what the outbox holds.

A mail counts as sent from the moment its last byte has left, and is put back only if the server
then says no, or nothing at all, while we live. So a process that is killed sends nothing twice: not
while the server thinks about its answer, and not between the answer and our writing it down. What
remains are the microseconds between the last byte and the note of it. In them a kill makes the next
tick send the mail again, under the same Message-ID, by which mailboxes know it: better twice than
never.
"""

import smtplib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import psycopg

from m3sync_dagster.guard.guarded_integration import GuardedIntegration, Person
from m3sync_dagster.http_settings import set_for_other_libraries
from m3sync_dagster.notifications.mail import MailSession, letter, read_mail_server, usable
from m3sync_dagster.notifications.message_text import Message, compose
from m3sync_dagster.notifications.recipients import CHANNEL, DAGSTER, USER, channels, targets_of
from m3sync_dagster.state import Notice, record_event
from m3sync_dagster.state.outbox import (
    delivered,
    due_notices,
    handed_over,
    not_delivered,
    withdraw,
)
from m3sync_dagster.sync.errors import ConfigurationError, SyncError

if TYPE_CHECKING:
    from apprise import NotifyBase

BUDGET = 10.0
"""Seconds after which a tick leaves the rest of the mail to the next, and so of other messages;
Dagster gives it 60."""

_REACHABLE = "Correct notify_users_if_disabled, or the user in m3ter."
_LOCK = 0x6D33_0003  # an advisory lock's key; 0x6D33 is "m3"


def deliver(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    integrations: Mapping[str, GuardedIntegration],
) -> None:
    """Send what is owed, as far as it can be sent now. Never raises for what a receiver does."""
    with _alone(connection) as alone:
        by_way: dict[str, list[Notice]] = defaultdict(list)
        for notice in _wanted(connection, integrations) if alone else ():
            by_way[notice.target.partition(":")[0]].append(notice)
        _observe(instance, connection, by_way[DAGSTER])
        _notify(connection, by_way[CHANNEL.rstrip(":")], time.monotonic() + BUDGET)
        _mail(connection, by_way[USER.rstrip(":")], integrations, time.monotonic() + BUDGET)


@contextmanager
def _alone(connection: psycopg.Connection) -> Iterator[bool]:
    """Whether nobody else is sending; a killed sender's lock is free."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
    alone = bool(row and row[0])
    try:
        yield alone
    finally:
        if alone and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _wanted(
    connection: psycopg.Connection, integrations: Mapping[str, GuardedIntegration]
) -> Iterator[Notice]:
    """What is due to those whom the configuration still names; the others are owed nothing."""
    for notice in due_notices(connection):
        watched = integrations.get(notice.integration)
        if watched is None or notice.target in targets_of(watched):
            yield notice
        else:
            withdraw(connection, notice)


def _observe(
    instance: dg.DagsterInstance, connection: psycopg.Connection, notices: Iterable[Notice]
) -> None:
    """Show a change on each asset of the integration, for those who look at the UI alone."""
    for notice in notices:
        message = compose(notice.integration, notice.content)
        for path in notice.content["assets"]:
            instance.report_runless_asset_event(
                dg.AssetObservation(
                    dg.AssetKey(path),
                    description=message.text,
                    metadata={
                        "state": notice.content["kind"],
                        "run": dg.MetadataValue.dagster_run(notice.content["run_id"]),
                    },
                )
            )
        delivered(connection, notice)


def _mail(
    connection: psycopg.Connection,
    notices: Sequence[Notice],
    integrations: Mapping[str, GuardedIntegration],
    deadline: float,
) -> None:
    if not notices:
        return
    try:
        server = read_mail_server()
    except ConfigurationError as error:
        _fail(connection, notices, str(error))
        return
    with closing(MailSession(server)) as session:
        sent = set()
        for notice, person in _addressed(connection, notices, integrations, deadline):
            if time.monotonic() > deadline:
                return
            message = compose(notice.integration, notice.content)
            # Of two users with one address, the mailbox gets one mail.
            identity = f"{notice.change} {person.email}"
            try:
                if identity not in sent:
                    mail = letter(message, server, person.name, str(person.email), identity)
                    session.send(mail, partial(handed_over, connection, notice))
            except (OSError, smtplib.SMTPException, ValueError) as error:
                reason = f"the mail server {server.host} did not take the mail: {error}"
                not_delivered(connection, notice, reason)
            else:
                sent.add(identity)
                delivered(connection, notice)


def _addressed(
    connection: psycopg.Connection,
    notices: Sequence[Notice],
    integrations: Mapping[str, GuardedIntegration],
    deadline: float,
) -> Iterator[tuple[Notice, Person]]:
    """Look addresses up; what has none is put on record, and keeps nobody else from knowing."""
    by_integration: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        by_integration[notice.integration].append(notice)
    for name, owed in by_integration.items():
        if time.monotonic() > deadline:
            return
        ids = sorted({_user_id(notice) for notice in owed})
        watched = integrations.get(name)
        if watched is None:
            _fail(connection, owed, f"the integration {name} is no longer loaded")
            continue
        try:
            people = _look_up(watched, ids)
        except SyncError as error:
            _fail(connection, owed, f"addresses could not be looked up: {error}")
            continue
        unreachable = [one for one in owed if not usable(_address(people, one))]
        _report_unreachable(connection, unreachable, people)
        yield from ((one, people[_user_id(one)]) for one in owed if one not in unreachable)


def _look_up(watched: GuardedIntegration, ids: Sequence[str]) -> dict[str, Person]:
    with watched.directory() as directory:
        return {person.id: person for person in directory.users(ids)}


def _address(people: Mapping[str, Person], notice: Notice) -> str | None:
    person = people.get(_user_id(notice))
    return person.email if person else None


def _report_unreachable(
    connection: psycopg.Connection, notices: Sequence[Notice], people: Mapping[str, Person]
) -> None:
    causes = {}
    for notice in notices:
        user = _user_id(notice)
        causes[user] = (
            f"m3ter {'has no usable address of the' if user in people else 'knows no'} user {user}"
        )
        not_delivered(connection, notice, f"{causes[user]}. {_REACHABLE}")
    if notices:
        integration, run_id = notices[0].integration, str(notices[0].content["run_id"])
        error = ConfigurationError("; ".join(causes.values()), _REACHABLE)
        record_event(connection, integration, None, run_id, error)


def _notify(connection: psycopg.Connection, notices: Sequence[Notice], deadline: float) -> None:
    known = channels() if notices else {}
    set_for_other_libraries()
    for notice in notices:
        if time.monotonic() > deadline:
            return
        channel = known.get(notice.target)
        message = compose(notice.integration, notice.content)
        if channel is None:
            not_delivered(
                connection, notice, "M3SYNC_NOTIFY_URLS has no such channel that can be read"
            )
        elif _takes(channel, message):
            delivered(connection, notice)
        else:
            not_delivered(connection, notice, "the channel did not take it")


def _takes(channel: "NotifyBase", message: Message) -> bool:
    try:
        return bool(channel.notify(body=message.text, title=message.subject))
    except Exception:  # noqa: BLE001 - a hundred plugins, and what they say may hold the channel's secret
        return False


def _fail(connection: psycopg.Connection, notices: Iterable[Notice], error: str) -> None:
    for notice in notices:
        not_delivered(connection, notice, error)


def _user_id(notice: Notice) -> str:
    return notice.target.removeprefix(USER)
