"""Sending what the outbox holds.

A mail counts as sent from the moment its last byte was sent, and is put back only if the server
then refuses it, or does not answer, while we live. So a process that is killed sends nothing twice:
not while the server considers its answer, and not between the answer and our writing it down. What
remains are the microseconds between the last byte and our record of it. If we are killed in them,
the next tick sends the mail again, under the same Message-ID, by which mailboxes recognize it:
better twice than never.

Each receiver has a task of its own: one that does not answer delays no other, nor the tick.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import xxhash

from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.notifications.digests import Recipient, into_digests, without_postponed
from m3sync_dagster.notifications.m3ter_user_lookup import refresh
from m3sync_dagster.notifications.mail_delivery import send_mails
from m3sync_dagster.notifications.message_text import compose
from m3sync_dagster.notifications.notice_targets import CHANNEL, DAGSTER, USER, channels, targets_of
from m3sync_dagster.notifications.threads_with_deadline import (
    start_task,
    still_running,
    wait_for_all,
)
from m3sync_dagster.state import Notice, connect, postgres_url
from m3sync_dagster.state.outbox import (
    delivered,
    due_notices,
    not_delivered,
    withdraw,
    withdraw_removed,
)
from m3sync_dagster.state.user_addresses import read_failed_lookups
from m3sync_dagster.tls_and_proxy import set_for_other_libraries

if TYPE_CHECKING:
    from apprise import NotifyBase

BUDGET = 25.0
"""Seconds after its begin at which a tick stops delivering notices; Dagster ends it after 60."""
AT_LEAST = 5.0
"""Seconds that the delivery gets even if the tick has taken long before it."""
_MARKUP = re.compile(r"[\\`*\[\]<>!|~]")
_LOCKS = 0x6D34  # the first of two keys of an advisory lock, apart from other programs' locks

Integrations = Mapping[str, GuardedIntegration]


def deliver(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    integrations: Integrations,
    begun: float,
) -> list[str]:
    """Send the notices that are due, as far as they can be sent now, and give lines for the tick.

    Nothing that a receiver does raises an error here.

    Args:
        instance: Dagster's.
        connection: to our tables.
        integrations: all that are loaded, by name.
        begun: when the tick began (``time.monotonic``).
    """
    deadline = max(begun + BUDGET, time.monotonic() + AT_LEAST)
    withdraw_removed(connection, integrations)
    due = list(_still_wanted(connection, integrations))
    lines, tasks = [], []
    for name, work in _tasks(due, integrations, deadline).items():
        task = start_task(postgres_url(), name, work)
        if task:
            tasks.append(task)
        else:
            lines.append(still_running(name))
    _observe(instance, connection, deadline)
    lines += wait_for_all(tasks, deadline)
    lines += wait_for_all(refresh(connection, integrations.values()), deadline)
    return lines + [
        f"the users of the m3ter credential {failed.credential} could not be looked up: "
        f"{failed.error} Addresses from earlier look-ups are used."
        for failed in read_failed_lookups(connection)
    ]


def _tasks(
    due: Collection[Notice], integrations: Integrations, deadline: float
) -> dict[str, Callable[[], Iterable[str]]]:
    """One task for all mails, and one for each channel."""
    targets = sorted({notice.target for notice in due if notice.target.startswith(CHANNEL)})
    tasks: dict[str, Callable[[], Iterable[str]]] = {
        target: partial(_alone, target, partial(_notify, target, integrations, deadline))
        for target in targets
    }
    if any(notice.target.startswith(USER) for notice in due):
        tasks["mail"] = partial(_alone, "mail", partial(send_mails, integrations, deadline))
    return tasks


def _alone(name: str, send: Callable[[psycopg.Connection], None]) -> Iterable[str]:
    """Send, unless another process is sending to the same receiver."""
    with connect(postgres_url()) as connection, _lock(connection, name) as locked:
        if not locked:
            return [still_running(name)]
        send(connection)
    return []


@contextmanager
def _lock(connection: psycopg.Connection, name: str) -> Iterator[bool]:
    """Whether nobody else sends to this receiver; a killed sender's lock is free."""
    keys = (_LOCKS, xxhash.xxh32_intdigest(name.encode()) - 2**31)
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", keys).fetchone()
    locked = bool(row and row[0])
    try:
        yield locked
    finally:
        if locked and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", keys)


def _still_wanted(connection: psycopg.Connection, integrations: Integrations) -> Iterator[Notice]:
    """What is due to receivers whom the configuration still names; the rest is withdrawn."""
    for notice in due_notices(connection):
        integration = integrations.get(notice.integration)
        if integration and notice.target not in targets_of(integration):
            withdraw(connection, [notice])
        else:
            yield notice


def _observe(instance: dg.DagsterInstance, connection: psycopg.Connection, deadline: float) -> None:
    """Show changes on the integration's assets, for those who look at Dagster's UI alone."""
    with _lock(connection, DAGSTER) as locked:
        due = due_notices(connection) if locked else ()
        for notice in (one for one in due if one.target == DAGSTER):
            if time.monotonic() > deadline:
                return
            try:
                _observe_one(instance, notice)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this notice's alone
                reason = f"Dagster did not accept it: {type(error).__name__}: {error}"
                not_delivered(connection, [notice], reason)
            else:
                delivered(connection, [notice])


def _observe_one(instance: dg.DagsterInstance, notice: Notice) -> None:
    message = compose([notice])
    for path in notice.content["assets"]:
        observation = dg.AssetObservation(
            dg.AssetKey(path), description=_markdown(message.text), metadata=_metadata(notice)
        )
        instance.report_runless_asset_event(observation)


def _metadata(notice: Notice) -> dict[str, dg.MetadataValue | str | int]:
    """The change in the UI's table, which an asset's own page shows until its first sync."""
    content = notice.content
    metadata: dict[str, dg.MetadataValue | str | int] = {
        "state": content["kind"],
        "since": content["since"],
        "cause": content["error"],
    }
    if content["failures"]:
        metadata["failures_in_a_row"] = content["failures"]
    if remedy := content.get("remedy"):  # a notice that an earlier version wrote has none
        metadata["remedy"] = remedy
    if content["run_id"]:
        metadata["run"] = dg.MetadataValue.dagster_run(content["run_id"])
    return metadata


def _markdown(text: str) -> str:
    """Make Markdown that shows a text as it is: the UI shows descriptions as Markdown.

    An error may repeat a value of a record, which could be a link or load a picture.
    """
    return _MARKUP.sub(r"\\\g<0>", text).replace("\n", "  \n")


def _notify(
    target: str, integrations: Integrations, deadline: float, connection: psycopg.Connection
) -> None:
    """Send to one channel."""
    set_for_other_libraries()
    channel = channels(integrations.values()).get(target)
    due = [notice for notice in due_notices(connection) if notice.target == target]
    ready = map(Recipient, without_postponed(connection, due))
    for digest in into_digests(connection, ready):
        if time.monotonic() > deadline:
            return
        if channel is None:
            reason = (
                "the variable with its URL is not set, has no such channel, or has a URL that "
                "Apprise cannot read"
            )
            not_delivered(connection, digest.notices, reason)
        elif _accepts(channel, digest.notices):
            delivered(connection, digest.notices)
        else:
            not_delivered(connection, digest.notices, "the channel did not accept it")


def _accepts(channel: "NotifyBase", notices: Collection[Notice]) -> bool:
    try:
        message = compose(notices)
        return bool(channel.notify(body=message.text, title=message.subject))
    except Exception:  # noqa: BLE001 - a hundred plugins, whose errors may hold the channel's secret
        return False
