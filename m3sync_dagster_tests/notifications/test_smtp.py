"""Mails as a server and a mailbox get them."""

import socket
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes, policy
from pathlib import Path
from ssl import SSLContext

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from m3sync_dagster.notifications.message_text import Message
from m3sync_dagster.notifications.smtp import (
    ANSWER_TO_MAIL,
    TIMEOUT,
    MailServer,
    MailSession,
    read_mail_server,
    usable,
    write_mail,
)
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.guard.fixtures import PostOffice, open_office

pytestmark = pytest.mark.slow

SERVER = MailServer("127.0.0.1", 25, False, True, "", "", "m3sync@example.com")
TEXT = Message("subject", "text", "html")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (
            "smtps://a%40b.example:x%2Fy@mail.example.com",
            MailServer("mail.example.com", 465, True, False, "a@b.example", "x/y", "a@b.example"),
        ),
        (
            "smtp://mail.example.com:2525?from=ops@example.com",
            MailServer("mail.example.com", 2525, False, False, "", "", "ops@example.com"),
        ),
        ("smtp://127.0.0.1", MailServer("127.0.0.1", 587, False, True, "", "", "m3sync@127.0.0.1")),
    ],
)
def test_the_mail_servers_address(
    url: str, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_SMTP_URL", url)
    assert read_mail_server() == server
    assert "x/y" not in repr(server)


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.com", "http://u:hush@h:25", "smtp://u:hush@h:port", "smtp://u:hush@:25"],
)
def test_a_wrong_address_is_refused_without_repeating_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_SMTP_URL", url)
    with pytest.raises(ConfigurationError) as refused:
        read_mail_server()
    assert "hush" not in str(refused.value)


def test_only_the_answer_to_a_whole_mail_may_take_long(
    post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = read_mail_server()
    seen = []
    with closing(MailSession(server)) as session:

        def note() -> None:
            assert session._open
            assert session._open.sock
            seen.append(session._open.sock.gettimeout())

        for identity in ("one", "two"):
            mail = write_mail(
                Message("subject", "text", "html"), server, "A", "a@b.example", identity
            )
            session.send(mail, note)
            note()
    assert seen == [TIMEOUT, ANSWER_TO_MAIL] * 2
    assert len(post_office.mails) == 2


class StrictOffice(PostOffice):
    """A mail server that wants a full host name or an address at EHLO, as RFC 5321 does."""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        if "." not in hostname:
            return ["550 a full host name, please"]
        session.host_name = hostname
        return responses


@pytest.fixture
def strict_office(
    authority: tuple[Path, SSLContext], monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostOffice]:
    path, context = authority
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with open_office(StrictOffice(), context) as office:
        monkeypatch.setenv("M3SYNC_SMTP_URL", office.url)
        yield office


def test_a_container_with_a_short_host_name_can_send(
    strict_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "3f2a9c1b7d5e")
    with closing(MailSession(read_mail_server())) as session:
        session.send(write_mail(TEXT, SERVER, "A", "a@b.example", "one"), lambda: None)
    assert len(strict_office.mails) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Jane Doe", "Jane Doe"),
        ("Zoë Müller", "Zoë Müller"),
        ("Doe, Jane", "Doe Jane"),
        ("=?utf-8?q?x=40evil=2Eexample=2C?=", ""),
        ("=?utf-8?b?YUBiLmMsIGRAZS5m?= Jane", ""),
        ("=?utf-8?q?Jane=0D=0ABcc=3A_x=40evil.example?=", ""),
        ("Jane\r\nBcc: x@evil.example", "JaneBcc xevil.example"),
        ("x@evil.example>, <y@evil.example", "xevil.example yevil.example"),
        ("Jane\u202eeoD", "JaneeoD"),
        ("Jane\ud800", "Jane"),
        ("J" * 5_000, "J" * 100),
        ("   ", ""),
        ("", ""),
    ],
)
def test_a_name_is_plain_text_or_left_out(name: str, shown: str) -> None:
    mail = write_mail(TEXT, SERVER, name, "jane@example.com", "one")
    received = message_from_bytes(mail.as_bytes(), policy=policy.default)
    (to,) = received["To"].addresses
    assert (to.display_name, to.addr_spec) == (shown, "jane@example.com")
    assert received["Bcc"] is None


@pytest.mark.parametrize(
    "address", ["=?utf-8?q?a=40b=2Ec?=@d.example", "a@=?utf-8?q?b?=", "a\u200b@b.example"]
)
def test_an_address_that_would_be_decoded_is_not_usable(address: str) -> None:
    assert not usable(address)
