"""Sending mail, over TLS, with a record of the moment from which a mail may have arrived.

No library that we know reports when a message has been sent completely, which is what keeps a
killed process from sending it twice; the standard library's client can be extended to do so.
"""

import os
import re
import smtplib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import localtime
from hashlib import sha256
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.notifications.message_text import Message
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.tls_and_proxy import tls_context

SMTP_URL = "M3SYNC_SMTP_URL"
"""The environment variable with the mail server's address."""
TIMEOUT = 10.0
"""Seconds that one answer of the mail server may take."""
ANSWER_TO_MAIL = 30.0
"""Seconds that its answer to a whole mail may take: many look into it first."""

_PORTS = {"smtp": 587, "smtps": 465}
_END_OF_DATA = b"\r\n.\r\n"
_ADDRESS = re.compile(r'[^\s<>()\[\]:;,\\"@]+@[^\s<>()\[\]:;,\\"@]+')
_ENCODED_WORD = (
    "=?"  # RFC 2047: what follows is decoded, also to a comma, an address or a line break
)
_MOST_OF_A_NAME = 100
_REMEDY = (
    f"Set {SMTP_URL} to smtps://user:password@host or smtp://user:password@host, with %XX for "
    "special characters, and ?from=address where the sender is not the user."
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out.

    Args:
        host, port: its address.
        implicit_tls: TLS from the first byte; otherwise by STARTTLS.
        loopback: on this machine, where a server without TLS will do.
        username, password: the login; empty: none.
        sender: the address in ``From``.
    """

    host: str
    port: int
    implicit_tls: bool
    loopback: bool
    username: str
    password: str = field(repr=False)
    sender: str


def read_mail_server() -> MailServer:
    """Read the environment.

    Raises:
        ConfigurationError: the address is missing or cannot be right. It is not repeated, since
            it may hold a password.
    """
    given = os.environ.get(SMTP_URL, "")
    if not given:
        raise ConfigurationError(f"the environment variable {SMTP_URL} is not set", _REMEDY)
    try:
        url = urlsplit(given)
        port = _PORTS[url.scheme]
        port = url.port or port
    except (ValueError, KeyError):
        raise ConfigurationError(
            f"{SMTP_URL} is not the address of a mail server", _REMEDY
        ) from None
    if not url.hostname:
        raise ConfigurationError(f"{SMTP_URL} names no host", _REMEDY)
    return MailServer(
        host=url.hostname,
        port=port,
        implicit_tls=url.scheme == "smtps",
        loopback=is_loopback(url.hostname),
        username=unquote(url.username or ""),
        password=unquote(url.password or ""),
        sender=_sender(url),
    )


def usable(address: str | None) -> bool:
    """Whether this is one mail address, and nothing else that a header would show as one."""
    return bool(
        address
        and address.isprintable()
        and _ENCODED_WORD not in address
        and _ADDRESS.fullmatch(address)
    )


def write_mail(
    message: Message, server: MailServer, name: str, address: str, identity: str
) -> EmailMessage:
    """Write a mail to one person.

    Args:
        message: its text.
        server: the mail server that it will be sent to.
        name: the person's.
        address: the person's.
        identity: unique to this mail and the same at each attempt. Its Message-ID is made from
            it, so that a mailbox can tell that a mail that arrives twice is the same one.
    """
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = server.sender
    mail["To"] = _recipient(name, address)
    mail["Date"] = localtime()
    mail["Message-ID"] = f"<{sha256(identity.encode()).hexdigest()[:32]}@m3sync>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


class MailSession:
    """A connection to the mail server, made at the first mail and again where it broke.

    Args:
        server: where to.
    """

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._open: _SmtpClient | None = None

    def connect(self) -> None:
        """Connect, unless there is a connection.

        Raises:
            OSError, smtplib.SMTPException: the server cannot be reached, or refuses the login.
            ConfigurationError: the environment names no certificate authorities that can be read.
        """
        if self._open is None:
            self._open = self._new_connection()

    def send(self, mail: EmailMessage, handed_over: Callable[[], None]) -> None:
        """Send a mail.

        Args:
            mail: what to send.
            handed_over: called once the last byte is sent, and before the server has answered.

        Raises:
            OSError, smtplib.SMTPException: the server did not take it.
        """
        self.connect()
        connection = self._open
        assert connection is not None  # noqa: S101 - see connect
        connection.handed_over = handed_over
        try:
            connection.send_message(mail)
        except Exception:
            self._open = None
            connection.close()
            raise

    def close(self) -> None:
        """End the session, if there is one."""
        if self._open:
            connection, self._open = self._open, None
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()

    def _new_connection(self) -> "_SmtpClient":
        server = self._server
        connection = _connect_to(server)
        try:
            if not server.implicit_tls:
                _encrypt(connection, server)
            if server.username:
                connection.login(server.username, server.password)
        except Exception:
            connection.close()
            raise
        return connection


class _SmtpClient(smtplib.SMTP):
    """Reports when the end of a message has been sent."""

    handed_over: Callable[[], None]

    def send(self, s: Any) -> None:  # noqa: ANN401 - smtplib's signature
        super().send(s)
        whole_mail = isinstance(s, bytes) and s.endswith(_END_OF_DATA)
        if self.sock and whole_mail:
            self.handed_over()
        if self.sock:
            self.sock.settimeout(ANSWER_TO_MAIL if whole_mail else TIMEOUT)


class _SmtpTlsClient(_SmtpClient, smtplib.SMTP_SSL):
    """With TLS from the first byte."""


def _connect_to(server: MailServer) -> _SmtpClient:
    """Connect. Our name in EHLO is smtplib's choice: a full host name, or else our address.

    Source: RFC 5321, section 4.1.1.1; a container's short host name is neither.
    """
    if not server.implicit_tls:
        return _SmtpClient(server.host, server.port, timeout=TIMEOUT)
    context = tls_context()
    return _SmtpTlsClient(server.host, server.port, timeout=TIMEOUT, context=context)


def _encrypt(connection: smtplib.SMTP, server: MailServer) -> None:
    """Change to TLS. Only a server on this machine may do without."""
    connection.ehlo()
    if server.loopback and not connection.has_extn("starttls"):
        return
    connection.starttls(context=tls_context())


def _recipient(name: str, address: str) -> str:
    """The address, with the name unless a mail program would decode the name to something else."""
    if _ENCODED_WORD in name:
        return address
    plain = "".join(c for c in name if c.isprintable() and c not in '<>"\\,;:@()[]')
    plain = plain[:_MOST_OF_A_NAME].strip()
    return f'"{plain}" <{address}>' if plain else address


def _sender(url: SplitResult) -> str:
    given = parse_qs(url.query).get("from")
    user = unquote(url.username or "")
    return given[0] if given else user if "@" in user else f"m3sync@{url.hostname}"
