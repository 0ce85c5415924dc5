"""Who is notified that an integration is late, or that many of its rows are rejected."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import HTTPServer

import pytest

from m3sync_dagster.guard.health_policy import RejectLimit
from m3sync_dagster.state import connect, postgres_url, record_entity_sync
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, Status, tick
from m3sync_dagster_tests.notifications.conftest import email, notify
from m3sync_dagster_tests.notifications.test_delivery import Hook

pytestmark = pytest.mark.slow


def synced(read: int = 100, rejected: int = 0) -> None:
    with connect(postgres_url()) as connection:
        record_entity_sync(connection, "acme", "account", "the-run", (read, rejected))


def body(office: PostOffice, place: int = -1) -> str:
    part = office.mails[place].get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def test_the_users_are_told_once_that_it_is_late_and_when_it_is_over(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    fleet.let_be_late()
    assert "acme: late" in tick(fleet)
    tick(fleet)
    address = email(sandbox, users[0])
    assert post_office.subjects(address) == ["m3sync: acme has had no success for 6 hours"]
    text = body(post_office)
    assert "it has not synced completely since it was enabled, and no run of it was started" in text
    assert "m3sync status acme" in text
    synced()
    tick(fleet)
    tick(fleet)
    assert post_office.subjects(address)[1:] == ["m3sync: acme works again"]


def test_the_error_of_its_newest_run_is_the_reason(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    fleet.instance.report_run_failed(fleet.run("acme", Status.STARTED), "The quota is used up")
    fleet.let_be_late()
    tick(fleet)
    assert "the last error: The quota is used up" in body(post_office)


@contextmanager
def hook(monkeypatch: pytest.MonkeyPatch, variable: str) -> Iterator[list[bytes]]:
    """A receiver of a channel, whose URL is in a variable while the block lasts."""
    Hook.bodies = []
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv(variable, f"json://user:hush@127.0.0.1:{server.server_port}/hook")
        yield Hook.bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_limit(fleet: Fleet, users: tuple[str, ...], limit: RejectLimit) -> None:
    fleet.watched["acme"] = replace(
        fleet.watched["acme"], other_users=users, urls_env="ACME_URLS", reject_limit=limit
    )


def test_those_under_notify_are_told_of_rejects_once_and_when_it_is_over(
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    post_office: PostOffice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notify(fleet, sandbox, users[0])
    with_limit(fleet, (users[1],), RejectLimit(rows=10))
    told, others = email(sandbox, users[1]), email(sandbox, users[0])
    with hook(monkeypatch, "ACME_URLS") as channel:
        synced(rejected=9)
        tick(fleet)
        assert not channel
        synced(rejected=10)
        tick(fleet)
        synced(rejected=50)
        tick(fleet)
        assert len(channel) == 1
        assert b"acme has many rejected rows" in channel[0]
        synced(rejected=0)
        line = tick(fleet)
        tick(fleet)
        assert len(channel) == 2
    assert post_office.subjects(told) == [
        "m3sync: acme has many rejected rows",
        "m3sync: acme has few rejected rows again",
    ]
    assert "10 of 100 records are invalid or were rejected by Salesforce" in body(post_office, 0)
    assert "m3sync rejects acme" in body(post_office, 0)
    assert post_office.subjects(others) == []
    with connect(postgres_url()) as connection:
        rows = str(connection.execute("SELECT * FROM m3sync.notice").fetchall())
    assert "hush" not in rows + line


def test_a_message_about_rejects_links_to_the_objects_that_have_some(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    with_limit(fleet, (users[1],), RejectLimit(rows=1))
    basis = "INSERT INTO m3sync.fingerprint_basis (integration, entity, salesforce_org_id, "
    basis += "m3ter_org_id, object, external_id_field) VALUES ('acme', %s, '00D', 'm', %s, 'x')"
    reject = "INSERT INTO m3sync.rejected_record (integration, entity, m3ter_id, class, code, "
    reject += "message, fields, run_id) VALUES ('acme', 'bill', 'b', 'invalid', 'X', 'x', '{}', '')"
    login = "INSERT INTO m3sync.credential_login (credential, identity, succeeded_at, "
    login += "organization_id, instance_url) VALUES ('c', 'i', now(), '00D', %s)"
    with connect(postgres_url()) as connection:
        connection.execute(basis, ("account", "Account"))
        connection.execute(basis, ("bill", "m3ter_Bill__c"))
        connection.execute(reject)
        connection.execute(login, ("https://acme.my.salesforce.com",))
    synced(rejected=1)
    tick(fleet)
    text = body(post_office)
    link = "https://acme.my.salesforce.com/lightning/o/m3ter_Bill__c/list"
    assert f"m3ter_Bill__c in Salesforce: {link}" in text
    assert "lightning/o/Account" not in text
    assert "/runs/the-run" in text


def test_a_variable_that_is_not_set_is_named(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_URLS", raising=False)
    fleet.add("acme")
    with_limit(fleet, (), RejectLimit(rows=1))
    synced(rejected=1)
    tick(fleet)
    line = tick(fleet)
    assert "channel:ACME_URLS has not been notified" in line
    assert "the variable with its URL is not set" in line


def test_they_are_told_of_a_stop_too(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    with_limit(fleet, (users[1],), RejectLimit(rows=1))
    fleet.fail("acme", 10)
    tick(fleet)
    for user in users:
        assert post_office.subjects(email(sandbox, user)) == ["m3sync: acme is disabled"]
