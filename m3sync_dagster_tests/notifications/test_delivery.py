"""Who is told of a change of state: mail over TLS, further channels, and what keeps mail back."""

import smtplib
import threading
from dataclasses import replace
from html import unescape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from m3sync_dagster.guard import sensor as guard
from m3sync_dagster.guard.schedules import start
from m3sync_dagster.state import connect, list_events, postgres_url, undelivered
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, Status, open_office, tick
from m3sync_dagster_tests.notifications.conftest import notify

pytestmark = pytest.mark.slow

EVERYTHING = ["m3sync: acme is disabled"]


@pytest.fixture
def people(fleet: Fleet, sandbox: Sandbox) -> list[str]:
    """Two users of the sandbox's m3ter, and an integration that they are to be told of."""
    ids = sandbox.organization.ids("users")[:2]
    notify(fleet, sandbox, *ids)
    return [str(sandbox.organization.get("users", user)["email"]) for user in ids]


def disable(fleet: Fleet) -> str:
    fleet.fail("acme", 10)
    return tick(fleet)


def test_each_user_gets_one_mail_with_everything_in_it(
    fleet: Fleet, people: list[str], post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_WEBSERVER_URL", "https://dagster.example.com/")
    runs = [fleet.run("acme", Status.STARTED) for _ in range(10)]
    for run in runs:
        fleet.instance.report_run_failed(run, "Salesforce says <no> & means it")
    tick(fleet)
    tick(fleet)
    assert [post_office.subjects(address) for address in people] == [EVERYTHING, EVERYTHING]
    mail = post_office.mails[0]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    for words in (
        text.get_content(),
        unescape(html.get_content()),
    ):
        for wanted in (
            "acme",
            "Since",
            "Salesforce says <no> & means it",
            "m3sync enable acme",
            f"https://dagster.example.com/runs/{runs[-1].run_id}",
            "https://dagster.example.com/locations/__repository__@m3sync/schedules/acme_hourly",
        ):
            assert wanted in words
    assert "Salesforce says &lt;no&gt; &amp; means it" in html.get_content()
    assert mail["From"] == "m3sync@example.com"
    first, second = (mail["Message-ID"] for mail in post_office.mails)
    assert first != second


def test_the_link_to_a_schedule_has_the_name_of_its_code_location(
    fleet: Fleet, people: list[str], post_office: PostOffice
) -> None:
    module = LoadableTargetOrigin(module_name="m3sync_dagster.definitions")
    origin = ManagedGrpcPythonEnvCodeLocationOrigin(module, "billing code")
    start(fleet.instance, origin, "acme_hourly", "3 * * * *")
    fleet.fail("acme", 10)
    guard.tick(fleet.instance, fleet.watched, "billing code")
    assert "/locations/__repository__@billing%20code/schedules/acme_hourly" in plain(post_office)


def plain(post_office: PostOffice) -> str:
    """The plain text of the first mail."""
    text = post_office.mails[0].get_body(("plain",))
    assert text is not None
    return str(text.get_content())


def test_warnings_and_the_recovery_are_mailed_once_each(
    fleet: Fleet, people: list[str], post_office: PostOffice
) -> None:
    for _ in range(9):
        fleet.fail("acme")
        tick(fleet)
    fleet.run("acme", Status.SUCCESS)
    tick(fleet)
    tick(fleet)
    assert post_office.subjects(people[0]) == [
        "m3sync: acme has failed 5 times in a row",
        "m3sync: acme has failed 8 times in a row",
        "m3sync: acme works again",
    ]


def test_a_mail_server_that_is_down_gets_the_mail_later_once(
    fleet: Fleet,
    people: list[str],
    authority: tuple[Path, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, context = authority
    office = PostOffice()
    with open_office(office, context) as opened:  # type: ignore[arg-type] # see the fixture
        port = int(opened.url.rpartition(":")[2])
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("M3SYNC_SMTP_URL", office.url)
    line = disable(fleet)
    assert not fleet.schedule("acme").running
    assert "did not accept the mail" in line
    with connect(postgres_url()) as connection:
        assert len(undelivered(connection)) == 2
    with open_office(office, context, port):  # type: ignore[arg-type] # see the fixture
        tick(fleet)
        tick(fleet)
    assert [office.subjects(address) for address in people] == [EVERYTHING, EVERYTHING]
    with connect(postgres_url()) as connection:
        assert undelivered(connection) == []


def test_a_mail_that_is_refused_after_it_has_left_is_sent_again(
    fleet: Fleet, people: list[str], post_office: PostOffice
) -> None:
    post_office.refuse = ["451 Try again later"]
    assert "451" in disable(fleet)
    tick(fleet)
    refused, other, again = post_office.attempts
    assert refused == again != other
    assert [post_office.subjects(address) for address in people] == [EVERYTHING, EVERYTHING]


def test_a_mail_that_waits_since_an_earlier_version_still_goes(
    fleet: Fleet, people: list[str], post_office: PostOffice
) -> None:
    post_office.refuse = ["451 later"] * len(people)
    disable(fleet)
    with connect(postgres_url()) as connection:
        connection.execute("UPDATE m3sync.notice SET content = content - 'remedy' - 'location'")
    tick(fleet)
    assert [post_office.subjects(address) for address in people] == [EVERYTHING, EVERYTHING]
    assert "Correct what the error says." in plain(post_office)
    assert "/locations/__repository__@m3sync/schedules/acme_hourly" in plain(post_office)


def test_a_user_without_an_address_is_reported_and_the_others_are_told(
    fleet: Fleet, sandbox: Sandbox, post_office: PostOffice
) -> None:
    known, mute = sandbox.organization.ids("users")[:2]
    sandbox.organization.change("users", mute, email=None)
    notify(fleet, sandbox, "nobody-we-know", mute, known)
    line = disable(fleet)
    assert "m3ter knows no user nobody-we-know" in line
    assert f"m3ter has no usable address of the user {mute}" in line
    address = str(sandbox.organization.get("users", known)["email"])
    assert post_office.subjects(address) == EVERYTHING
    with connect(postgres_url()) as connection:
        events = [one for one in list_events(connection, "acme") if "nobody-we-know" in one.message]
    assert [one.name for one in events] == ["integration.validation.error"]
    assert mute in events[0].message
    # The address is looked up when it is needed.
    sandbox.organization.change("users", mute, email="found@example.com")
    tick(fleet)
    assert post_office.subjects("found@example.com") == EVERYTHING


@pytest.mark.parametrize(
    "address", ["a@[", "a@", "<>", "nonsense", "a@b.example, c@d.example", "a@b\nBcc: c@d.example"]
)
def test_what_is_no_address_keeps_nobody_else_from_being_told(
    fleet: Fleet, people: list[str], sandbox: Sandbox, post_office: PostOffice, address: str
) -> None:
    first, _ = sandbox.organization.ids("users")[:2]
    sandbox.organization.change("users", first, email=address)
    assert f"m3ter has no usable address of the user {first}" in disable(fleet)
    (mail,) = post_office.mails
    assert people[1] in str(mail["To"])


def test_two_users_with_one_address_get_one_mail(
    fleet: Fleet, people: list[str], sandbox: Sandbox, post_office: PostOffice
) -> None:
    for user in sandbox.organization.ids("users")[:2]:
        sandbox.organization.change("users", user, email="both@example.com")
    disable(fleet)
    tick(fleet)
    assert post_office.subjects("both@example.com") == EVERYTHING
    with connect(postgres_url()) as connection:
        assert undelivered(connection) == []


def test_whoever_is_no_longer_named_is_owed_nothing(
    fleet: Fleet, sandbox: Sandbox, post_office: PostOffice
) -> None:
    known = sandbox.organization.ids("users")[0]
    notify(fleet, sandbox, "a-slip", known)
    assert "a-slip" in disable(fleet)
    fleet.watched["acme"] = replace(fleet.watched["acme"], notify=(known,))
    assert "a-slip" not in tick(fleet)
    assert len(post_office.mails) == 1


def test_m3ter_that_does_not_answer_hides_nothing(
    fleet: Fleet, people: list[str], sandbox: Sandbox, post_office: PostOffice
) -> None:
    fault = {"path": "*/users", "action": {"kind": "respond", "status": 503}, "times": 1}
    sandbox.m3ter.post("/sandbox/faults", json=fault).raise_for_status()
    assert "addresses could not be looked up" in disable(fleet)
    assert not fleet.schedule("acme").running
    tick(fleet)
    assert [post_office.subjects(address) for address in people] == [EVERYTHING, EVERYTHING]


def test_an_unset_mail_server_is_said(
    fleet: Fleet, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M3SYNC_SMTP_URL", raising=False)
    assert "M3SYNC_SMTP_URL is not set" in disable(fleet)
    assert not fleet.schedule("acme").running


class Hook(BaseHTTPRequestHandler):
    """A channel's receiver."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_further_channels_are_told_and_their_secrets_are_not(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Hook.bodies = []
    # What is on this machine is reached without the proxy, which nobody runs here.
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"json://user:hush@127.0.0.1:{server.server_port}/hook"
        monkeypatch.setenv("M3SYNC_NOTIFY_URLS", f"{url} nonsense://hush")
        fleet.add("acme")
        line = disable(fleet)
        tick(fleet)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (body,) = Hook.bodies
    assert b"m3sync: acme is disabled" in body
    assert "channel:number 2 has not been notified" in line
    with connect(postgres_url()) as connection:
        rows = str(connection.execute("SELECT * FROM m3sync.notice").fetchall())
    assert "hush" not in rows + line + caplog.text


def test_no_password_goes_to_a_server_that_we_cannot_trust(
    fleet: Fleet, people: list[str], post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr(smtplib.SMTP, "login", lambda *_: pytest.fail("it logged in"))
    assert "certificate" in disable(fleet).lower()
    assert post_office.mails == []
