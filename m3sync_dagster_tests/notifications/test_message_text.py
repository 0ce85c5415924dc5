"""Messages about an error that repeats a text from outside."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy

from markdown_it import MarkdownIt

from m3sync_dagster.guard.disable_policy import ChangeKind
from m3sync_dagster.notifications.delivery import _markdown
from m3sync_dagster.notifications.message_text import compose
from m3sync_dagster.notifications.smtp import MailServer, write_mail
from m3sync_dagster.state import Notice

HOSTILE = (
    "bad value <script>alert(1)</script><img src=x onerror=alert(1)> "
    "[click](https://evil.example/) ![](https://evil.example/?read) `code` *bold*\r\n"
    "Bcc: everyone@evil.example"
)
SERVER = MailServer("127.0.0.1", 25, False, True, "", "", "m3sync@example.com")


def notice(kind: ChangeKind) -> Notice:
    return Notice(
        1,
        "run",
        "user:1",
        "acme",
        {
            "kind": kind.value,
            "schedule": "acme_hourly",
            "failures": 3,
            "not_started": 0,
            "run_id": "run",
            "since": "2026-11-27 10:00:00",
            "error": HOSTILE,
            "remedy": HOSTILE,
            "assets": [["acme", "salesforce_account"]],
        },
        None,
        datetime(2026, 11, 27, tzinfo=UTC),
    )


def test_a_mail_has_our_headers_and_a_text_without_markup() -> None:
    for kind in ChangeKind:
        mail = write_mail(compose([notice(kind)]), SERVER, "Ada", "ada@example.com", "one")
        received = message_from_bytes(mail.as_bytes(), policy=policy.default)
        assert set(received) == {
            *("Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"),
            *("MIME-Version", "Content-Type"),
        }
        assert [to.addr_spec for to in received["To"].addresses] == ["ada@example.com"]
        assert "acme" in received["Subject"]
        html = received.get_body(("html",))
        assert html
        assert "<script" not in html.get_content()
        assert "<img" not in html.get_content()
        if kind not in {ChangeKind.RECOVERED, ChangeKind.REJECTS_OVER}:
            assert "&lt;script&gt;" in html.get_content()


def test_the_description_in_the_ui_shows_the_text_and_no_link_or_picture() -> None:
    text = compose([notice(ChangeKind.DISABLED)]).text
    shown = _markdown(text)
    html = MarkdownIt("commonmark", {"html": True}).render(shown)
    # Bold is the name of Dagster's repository in our own link.
    assert set(re.findall(r"<(\w+)", html)) == {"p", "br", "strong"}
    assert "&lt;script&gt;" in html
    assert "[click](https://evil.example/)" in html
    assert html.count("<br />") + html.count("<p>") == sum(map(bool, text.splitlines()))
