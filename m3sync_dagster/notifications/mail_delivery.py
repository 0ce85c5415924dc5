"""Sending the notices for m3ter's users by mail."""

import smtplib
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

import psycopg

from m3sync_dagster.guard.guarded_integration import GuardedIntegration, UserDirectory
from m3sync_dagster.notifications.digests import Digest, Recipient, into_digests, without_postponed
from m3sync_dagster.notifications.m3ter_user_lookup import Lookup, look_up
from m3sync_dagster.notifications.message_text import compose
from m3sync_dagster.notifications.notice_targets import USER
from m3sync_dagster.notifications.smtp import (
    MailServer,
    MailSession,
    read_mail_server,
    usable,
    write_mail,
)
from m3sync_dagster.state import Notice, record_event
from m3sync_dagster.state.outbox import delivered, due_notices, handed_over, not_delivered
from m3sync_dagster.sync.errors import ConfigurationError

_REMEDY = "Correct notify_users_if_disabled, or the user in m3ter."
_MAIL_ERRORS = (OSError, smtplib.SMTPException, ValueError, ConfigurationError)
Integrations = Mapping[str, GuardedIntegration]


def send_mails(integrations: Integrations, deadline: float, connection: psycopg.Connection) -> None:
    """Send what is due to m3ter's users, until the deadline.

    Args:
        integrations: all that are loaded, by name.
        deadline: when to leave the rest to a later tick (``time.monotonic``).
        connection: to our tables, for this task alone.
    """
    due = [one for one in due_notices(connection) if one.target.startswith(USER)]
    notices = without_postponed(connection, _of_loaded(connection, due, integrations))
    if not notices:
        return
    try:
        server = read_mail_server()
    except ConfigurationError as error:
        not_delivered(connection, notices, str(error))
        return
    _Mailing(connection, server, deadline, integrations).send(notices)


def _of_loaded(
    connection: psycopg.Connection, notices: Iterable[Notice], integrations: Integrations
) -> Iterator[Notice]:
    """The notices of integrations that are loaded: whom to notify of others cannot be known."""
    for notice in notices:
        if notice.integration in integrations:
            yield notice
        else:
            not_delivered(
                connection,
                [notice],
                f"the integration {notice.integration} is not loaded; after a week the message "
                "is withdrawn",
            )


class _Mailing:
    """One session with the mail server.

    Args:
        connection: to our tables.
        server: the mail server.
        deadline: when to stop.
        integrations: all that are loaded, by name.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        server: MailServer,
        deadline: float,
        integrations: Integrations,
    ) -> None:
        self._connection = connection
        self._server = server
        self._deadline = deadline
        self._integrations = integrations

    def send(self, notices: Sequence[Notice]) -> None:
        """Send notices, those first whose users' addresses are known first."""
        left = {notice.id: notice for notice in notices}
        with closing(MailSession(self._server)) as session:
            for lookups in look_up(self._connection, self._wanted(notices), self._deadline):
                recipients = self._recipients(lookups, left)
                for digest in into_digests(self._connection, recipients):
                    if time.monotonic() > self._deadline:
                        return
                    if not self._connected(session, left.values()):
                        return
                    self._send_one(session, digest)
                    for notice in digest.notices:
                        del left[notice.id]

    def _wanted(self, notices: Iterable[Notice]) -> dict[str, tuple[UserDirectory, list[str]]]:
        """The users to look up, by the m3ter credential that their organization is opened with."""
        wanted: dict[str, tuple[UserDirectory, list[str]]] = {}
        for notice in notices:
            directory = self._integrations[notice.integration].directory
            _, ids = wanted.setdefault(directory.credential, (directory, []))
            if _user_id(notice) not in ids:
                ids.append(_user_id(notice))
        return wanted

    def _recipients(self, lookups: Iterable[Lookup], left: dict[int, Notice]) -> list[Recipient]:
        """The notices that can be sent after these look-ups; for the others, write why not."""
        recipients, unreachable = [], []
        by_credential = {lookup.directory.credential: lookup for lookup in lookups}
        for notice in list(left.values()):
            credential = self._integrations[notice.integration].directory.credential
            lookup = by_credential.get(credential)
            if lookup is None:
                continue
            person = lookup.person(_user_id(notice))
            if person and usable(person.email):
                recipients.append(Recipient(notice, person))
            else:
                unreachable.append((notice, lookup))
                del left[notice.id]
        self._report_unreachable(unreachable)
        return recipients

    def _report_unreachable(self, notices: Iterable[tuple[Notice, Lookup]]) -> None:
        """Write why users cannot be reached; those of one change are one event."""
        causes: dict[tuple[str, str], list[str]] = defaultdict(list)
        for notice, lookup in notices:
            user = _user_id(notice)
            if lookup.complete:
                known = "has no usable address of the" if user in lookup.found else "knows no"
                reason = f"m3ter {known} user {user}"
                causes[notice.integration, str(notice.content["run_id"] or notice.change)].append(
                    reason
                )
            else:
                reason = f"addresses could not be looked up: {lookup.reason}"
            not_delivered(self._connection, [notice], reason)
        for (integration, run_id), reasons in causes.items():
            error = ConfigurationError("; ".join(reasons), _REMEDY)
            record_event(self._connection, integration, None, run_id, error, lasting=True)

    def _connected(self, session: MailSession, notices: Collection[Notice]) -> bool:
        """Whether the server answers; if it does not, no mail can be sent in this tick."""
        try:
            session.connect()
        except _MAIL_ERRORS as error:
            not_delivered(self._connection, notices, self._refusal(error))
            return False
        return True

    def _send_one(self, session: MailSession, digest: Digest) -> None:
        person = digest.person
        assert person is not None  # noqa: S101 - see _recipients
        address = str(person.email)
        try:
            mail = write_mail(
                compose(digest.notices), self._server, person.name, address,
                f"{digest.key} {address}",
            )  # fmt: skip
            session.send(mail, partial(handed_over, self._connection, digest.notices))
        except _MAIL_ERRORS as error:
            not_delivered(self._connection, digest.notices, self._refusal(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's alone
            reason = f"the message could not be written: {type(error).__name__}: {error}"
            not_delivered(self._connection, digest.notices, reason)
        else:
            delivered(self._connection, digest.notices)

    def _refusal(self, error: Exception) -> str:
        return f"the mail server {self._server.host} did not accept the mail: {error}"


def _user_id(notice: Notice) -> str:
    return notice.target.removeprefix(USER)
