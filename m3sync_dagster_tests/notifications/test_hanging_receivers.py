"""A tick ends, and others are notified, whoever does not answer.

No test measures time: each shows that the tick has ended while the other side has not answered yet.
"""

import socket
import threading

import pytest

from m3sync_dagster.notifications import delivery
from m3sync_dagster.notifications import m3ter_user_lookup as user_lookup
from m3sync_dagster.notifications import threads_with_deadline as background_tasks
from m3sync_dagster.state import connect, postgres_url, undelivered
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, tick
from m3sync_dagster_tests.notifications.conftest import (
    directory_at,
    email,
    end_of_tasks,
    notify,
)

pytestmark = pytest.mark.slow

DISABLED = "m3sync: {} is disabled".format


@pytest.fixture(autouse=True)
def short_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not let the tests wait for as long as a tick does."""
    assert user_lookup.LONGEST < delivery.BUDGET < 30
    monkeypatch.setattr(delivery, "BUDGET", 3.0)
    monkeypatch.setattr(delivery, "AT_LEAST", 3.0)
    monkeypatch.setattr(user_lookup, "PREFER_CURRENT", 1.0)
    monkeypatch.setattr(user_lookup, "LONGEST", 2.0)


def still_waiting() -> list[str]:
    return [task.name for task in background_tasks._running.values() if not task.ended]


def test_an_m3ter_that_hangs_delays_no_other_integration(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice, silent_port: int
) -> None:
    hangs = directory_at(sandbox, f"http://127.0.0.1:{silent_port}", "hanging")
    notify(fleet, sandbox, users[0], name="acme", directory=hangs)
    notify(fleet, sandbox, users[1], name="globex")
    for name in ("acme", "globex"):
        fleet.fail(name, 10)
    lines = tick(fleet)
    assert still_waiting() == ["looking up users with the m3ter credential hanging"]
    assert not fleet.schedule("acme").running
    assert post_office.subjects(email(sandbox, users[1])) == [DISABLED("globex")]
    assert "acme" in lines
    assert "m3ter has not answered" in lines
    tick(fleet)
    assert len(still_waiting()) == 1


def test_a_mail_server_that_hangs_does_not_hold_up_the_tick(
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("M3SYNC_SMTP_URL", f"smtp://127.0.0.1:{silent_port}")
    notify(fleet, sandbox, *users)
    fleet.fail("acme", 10)
    assert "mail: no answer yet" in tick(fleet)
    assert still_waiting() == ["mail"]
    assert not fleet.schedule("acme").running
    assert "mail: no answer yet" in tick(fleet)
    end_of_tasks()
    with connect(postgres_url()) as connection:
        left = undelivered(connection)
    assert [(one.target, one.attempts) for one in left] == [(f"user:{user}", 1) for user in users]


def test_a_channel_that_hangs_delays_no_mail(  # noqa: PLR0917 - fixtures are arguments
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    post_office: PostOffice,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("M3SYNC_NOTIFY_URLS", f"json://127.0.0.1:{silent_port}/hook?rto=20")
    notify(fleet, sandbox, users[0])
    fleet.fail("acme", 10)
    assert "no answer yet" in tick(fleet)
    (channel,) = still_waiting()
    assert channel.startswith("channel:")
    assert post_office.subjects(email(sandbox, users[0])) == [DISABLED("acme")]


def test_a_name_server_that_hangs_does_not_hold_up_the_tick(
    fleet: Fleet, sandbox: Sandbox, users: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: object, *args: object, **kwargs: object) -> object:
        if host == "mail.example.com":
            answer.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *args, **kwargs)  # type: ignore[arg-type] # whatever it is called with

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    monkeypatch.setenv("M3SYNC_SMTP_URL", "smtps://mail.example.com")
    notify(fleet, sandbox, users[0])
    fleet.fail("acme", 10)
    try:
        assert "mail: no answer yet" in tick(fleet)
        assert still_waiting() == ["mail"]
    finally:
        answer.set()
        end_of_tasks()
    with connect(postgres_url()) as connection:
        assert "no answer" in str(undelivered(connection))


def test_a_mail_that_is_refused_again_and_again_lets_others_go_first(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0], name="acme")
    fleet.fail("acme", 10)
    post_office.refuse = ["451 later"]
    tick(fleet)
    notify(fleet, sandbox, users[1], name="globex")
    fleet.fail("globex", 10)
    tick(fleet)
    assert [str(mail["Subject"]) for mail in post_office.mails] == [
        DISABLED("globex"),
        DISABLED("acme"),
    ]
