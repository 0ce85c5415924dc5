"""One message for what has one cause."""

import json
from dataclasses import replace
from http.server import HTTPServer
from threading import Thread

import pytest

from m3sync_dagster.state import connect, postgres_url, undelivered
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, Status, tick
from m3sync_dagster_tests.notifications.conftest import email, notify
from m3sync_dagster_tests.notifications.test_delivery import Hook

pytestmark = pytest.mark.slow

NAMES = ["acme", "globex", "initech"]


def fail_all(fleet: Fleet, times: int, names: list[str] = NAMES, text: str = "") -> None:
    for name in names:
        for number in range(times):
            run = fleet.run(name, Status.STARTED)
            fleet.instance.report_run_failed(
                run, text or f"{name}: Salesforce is down, job 750{number}"
            )


def test_one_cause_is_one_mail_to_each_person_that_names_each_integration(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    for name in NAMES:
        notify(fleet, sandbox, *users, name=name)
    fail_all(fleet, 10)
    tick(fleet)
    tick(fleet)
    for user in users:
        address = email(sandbox, user)
        assert post_office.subjects(address) == ["m3sync: 3 integrations are disabled"]
    text = post_office.mails[0].get_body(("plain",))
    assert text is not None
    for name in NAMES:
        assert f"Integration: {name}" in text.get_content()
        assert f"m3sync enable {name}" in text.get_content()
        assert f"schedules/{name}_hourly" in text.get_content()
    assert text.get_content().count("Salesforce is down") == 1
    for name in NAMES:
        fleet.start(name)
    tick(fleet)
    for name in NAMES:
        fleet.run(name, Status.SUCCESS)
    tick(fleet)
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0])) == [
        "m3sync: 3 integrations are disabled",
        "m3sync: 3 integrations work again",
    ]


def test_each_person_reads_of_their_own_integrations_alone(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, *users, name="acme")
    notify(fleet, sandbox, users[0], name="globex")
    fail_all(fleet, 10, ["acme", "globex"])
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0])) == ["m3sync: 2 integrations are disabled"]
    assert post_office.subjects(email(sandbox, users[1])) == ["m3sync: acme is disabled"]


def test_two_causes_are_two_mails(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    for name in ("acme", "globex"):
        notify(fleet, sandbox, users[0], name=name)
    fail_all(fleet, 10, ["acme"], "Salesforce is down")
    fail_all(fleet, 10, ["globex"], "The secret is wrong")
    tick(fleet)
    assert sorted(post_office.subjects(email(sandbox, users[0]))) == [
        "m3sync: acme is disabled",
        "m3sync: globex is disabled",
    ]


def test_what_follows_within_ten_minutes_is_gathered(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    """Integrations run at different minutes, so their tenth failures are found in many ticks."""
    for name in NAMES:
        notify(fleet, sandbox, users[0], name=name)
    for name in NAMES:
        fail_all(fleet, 10, [name])
        tick(fleet)
    address = email(sandbox, users[0])
    assert post_office.subjects(address) == ["m3sync: acme is disabled"]
    with connect(postgres_url()) as connection:
        connection.execute(
            "UPDATE m3sync.notice SET handed_over_at = handed_over_at - interval '10 minutes' "
            "WHERE target <> 'dagster'"
        )
    tick(fleet)
    tick(fleet)
    assert post_office.subjects(address) == [
        "m3sync: acme is disabled",
        "m3sync: 2 integrations are disabled",
    ]


def test_a_mail_that_was_refused_stays_the_same_mail(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    """Its Message-ID tells a mailbox so, also when others of the cause have come in since."""
    for name in NAMES:
        notify(fleet, sandbox, users[0], name=name)
    post_office.refuse = ["451 later"]
    fail_all(fleet, 10, NAMES[:2])
    tick(fleet)
    fail_all(fleet, 10, NAMES[2:])
    tick(fleet)
    assert post_office.attempts.count(post_office.attempts[0]) == 2
    assert sorted(post_office.subjects(email(sandbox, users[0]))) == [
        "m3sync: 2 integrations are disabled",
        "m3sync: initech is disabled",
    ]
    with connect(postgres_url()) as connection:
        assert undelivered(connection) == []


def test_a_channel_gets_one_message_too(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    Hook.bodies = []
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("M3SYNC_NOTIFY_URLS", f"json://127.0.0.1:{server.server_port}/hook")
        for name in NAMES:
            fleet.add(name)
        fail_all(fleet, 10)
        tick(fleet)
        tick(fleet)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (body,) = Hook.bodies
    assert json.loads(body)["title"] == "m3sync: 3 integrations are disabled"


def test_the_notices_of_an_integration_that_is_gone_are_withdrawn_after_a_week(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    post_office.refuse = ["451 later"]
    fleet.fail("acme", 10)
    tick(fleet)
    gone = fleet.watched.pop("acme")
    assert "acme: user:" in tick(fleet)
    assert "the integration acme is not loaded; after a week the message is withdrawn" in (
        tick(fleet)
    )
    with connect(postgres_url()) as connection:
        connection.execute("UPDATE m3sync.notice SET created_at = created_at - interval '8 days'")
    assert "withdrawn: the integration is no longer loaded" in tick(fleet)
    fleet.watched["acme"] = replace(gone)
    tick(fleet)
    assert post_office.mails == []
    with connect(postgres_url()) as connection:
        connection.execute(
            "UPDATE m3sync.notice SET withdrawn_at = withdrawn_at - interval '8 days'"
        )
        assert undelivered(connection) == []
