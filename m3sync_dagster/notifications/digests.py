"""One message for several integrations that changed for the same cause.

If Salesforce is down, a person wants one message with a hundred names, not a hundred messages.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import psycopg

from m3sync_dagster.guard.disable_policy import ChangeKind
from m3sync_dagster.guard.guarded_integration import Person
from m3sync_dagster.state import Notice
from m3sync_dagster.state.outbox import put_into_digest, sent_lately

GATHER_FOR = timedelta(minutes=10)
"""Time between two messages of one cause to one receiver."""
# Ids, numbers and moments differ from run to run; the rest of an error's text is its cause.
_VARYING = re.compile(r"\w*\d\w*")


@dataclass(frozen=True, slots=True)
class Digest:
    """Notices that one message holds.

    Args:
        key: the same at each attempt to send it.
        notices: those for one receiver, of one cause.
        person: whom it is sent to; ``None`` for a channel.
    """

    key: str
    notices: Collection[Notice]
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """A notice, and the person that it is for."""

    notice: Notice
    person: Person | None = field(default=None)


def into_digests(connection: psycopg.Connection, recipients: Iterable[Recipient]) -> list[Digest]:
    """Group notices by receiver and cause, and write the groups down before they are sent.

    A group that was written down before is kept, so that a message that is sent a second time has
    the same identity.
    """
    groups: dict[tuple[object, ...], list[Recipient]] = defaultdict(list)
    for one in recipients:
        receiver = one.person.email if one.person else one.notice.target
        groups[receiver, one.notice.digest or cause_of(one.notice)].append(one)
    digests = []
    for members in groups.values():
        notices = [one.notice for one in members]
        key = notices[0].digest or uuid4().hex
        if notices[0].digest is None:
            put_into_digest(connection, notices, key)
        digests.append(Digest(key, notices, members[0].person))
    return digests


def without_postponed(connection: psycopg.Connection, notices: Iterable[Notice]) -> list[Notice]:
    """Leave out the notices that wait for others of the same cause.

    Integrations run at different minutes of the hour, so what has one cause is not found at once.
    After the first message of a cause, a receiver gets the next one ten minutes later.
    """
    sent: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for notice in sent_lately(connection, GATHER_FOR):
        sent[notice.target, cause_of(notice)].add(notice.integration)

    def held(notice: Notice) -> bool:
        before = sent.get((notice.target, cause_of(notice)))
        return notice.digest is None and before is not None and notice.integration not in before

    return [notice for notice in notices if not held(notice)]


def cause_of(notice: Notice) -> tuple[object, ...]:
    """What notices of one message have in common."""
    content = notice.content
    if content["kind"] == ChangeKind.RECOVERED:
        return (content["kind"],)
    error = content["error"].replace(notice.integration, "")
    return content["kind"], content["failures"], _VARYING.sub("", error)
