"""Sending mail, over TLS, with a note of the very moment from which a mail may have arrived.

No library that we know tells its caller when a message has left, which is what keeps a killed
process from sending it twice; the standard library's client is open enough to add that.
"""

import os
import re
import smtplib
import socket
import ssl
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

SMTP_URL = "M3SYNC_SMTP_URL"
"""The environment variable with the mail server's address."""
TIMEOUT = 10.0
"""Seconds that one answer of the mail server may take."""
VERDICT = 30.0
"""Seconds that its answer to a whole mail may take: many look into it first."""

_PORTS = {"smtp": 587, "smtps": 465}
_END_OF_DATA = b"\r\n.\r\n"
_ADDRESS = re.compile(r'[^\s<>()\[\]:;,\\"@]+@[^\s<>()\[\]:;,\\"@]+')
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
        username, password: what it lets us in with; empty: it asks for nothing.
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
    """Whether this is one mail address, and nothing else that would read as such in a header."""
    return bool(address and _ADDRESS.fullmatch(address))


def letter(
    message: Message, server: MailServer, name: str, address: str, identity: str
) -> EmailMessage:
    """Write a mail to one person.

    Args:
        message: what it says.
        server: through which it will go.
        name: the person's.
        address: the person's.
        identity: what tells this mail from all others. From it comes its Message-ID, so that a
            mailbox that gets it twice, because two servers lost their connection in between,
            knows it for one.
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
        self._open: _Noting | None = None

    def send(self, mail: EmailMessage, handed_over: Callable[[], None]) -> None:
        """Send a mail.

        Args:
            mail: what to send.
            handed_over: called once the last byte has left, and before the server has answered.

        Raises:
            OSError, smtplib.SMTPException: the server did not take it.
        """
        connection = self._open or self._connect()
        self._open = connection
        connection.handed_over = handed_over
        try:
            connection.send_message(mail)
        except Exception:
            self._open = None
            connection.close()
            raise

    def close(self) -> None:
        """Say goodbye, as far as there is somebody to say it to."""
        if self._open:
            connection, self._open = self._open, None
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()

    def _connect(self) -> "_Noting":
        server = self._server
        connection = _dial(server)
        try:
            if not server.implicit_tls:
                _encrypt(connection, server)
            if server.username:
                connection.login(server.username, server.password)
        except Exception:
            connection.close()
            raise
        return connection


class _Noting(smtplib.SMTP):
    """Tells when the end of a message has left."""

    handed_over: Callable[[], None]

    def send(self, s: Any) -> None:  # noqa: ANN401 - smtplib's signature
        super().send(s)
        whole_mail = isinstance(s, bytes) and s.endswith(_END_OF_DATA)
        if self.sock and whole_mail:
            self.handed_over()
        if self.sock:
            self.sock.settimeout(VERDICT if whole_mail else TIMEOUT)


class _NotingTls(_Noting, smtplib.SMTP_SSL):
    """With TLS from the first byte."""


def _dial(server: MailServer) -> _Noting:
    us = socket.gethostname()
    if not server.implicit_tls:
        return _Noting(server.host, server.port, us, timeout=TIMEOUT)
    context = ssl.create_default_context()
    return _NotingTls(server.host, server.port, us, timeout=TIMEOUT, context=context)


def _encrypt(connection: smtplib.SMTP, server: MailServer) -> None:
    """Change to TLS. Only a server on this machine may do without."""
    connection.ehlo()
    if server.loopback and not connection.has_extn("starttls"):
        return
    connection.starttls(context=ssl.create_default_context())


def _recipient(name: str, address: str) -> str:
    """The address, with the name where a header can carry both."""
    plain = "".join(c for c in name if c.isprintable() and c not in '<>"\\,;:@')
    return f'"{plain}" <{address}>' if plain else address


def _sender(url: SplitResult) -> str:
    given = parse_qs(url.query).get("from")
    user = unquote(url.username or "")
    return given[0] if given else user if "@" in user else f"m3sync@{url.hostname}"
