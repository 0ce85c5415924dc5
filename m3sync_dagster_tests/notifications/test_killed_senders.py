"""What happens to a message whose sender is killed, and to one that is refused for long."""

import os
import signal
import threading
import time
from collections.abc import Callable
from http.server import HTTPServer
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from m3sync_dagster.state import connect, postgres_url, undelivered
from m3sync_dagster_tests.conftest import PATIENCE, Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, tick
from m3sync_dagster_tests.guard.killed_sensor_daemon import INSTANTS
from m3sync_dagster_tests.guard.killed_ticks import (
    CHANNEL_NOTIFIED,
    LAST_BYTE_SENT,
    guarded,
    processes,
    start_tick,
)
from m3sync_dagster_tests.notifications.conftest import email
from m3sync_dagster_tests.notifications.test_delivery import Hook

pytestmark = pytest.mark.slow

SUBJECT = "m3sync: acme is disabled"
ANSWER_AWAITED = list(INSTANTS)[4]

Start = Callable[[str], ForkServerProcess]


@pytest.fixture
def start(
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Start:
    """Ten failures of an integration of which one user is notified, and a tick that is killed."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    receiver = {"acme": users[0]}
    fleet.watched.update(guarded(receiver))
    fleet.start("acme")
    fleet.fail("acme", 10)
    return lambda instant: start_tick(processes(), tmp_path, receiver, instant, time.time())


def end_of(process: ForkServerProcess) -> None:
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


def test_a_mail_that_left_a_killed_process_unnoted_is_sent_again_as_the_same_mail(
    fleet: Fleet, start: Start, post_office: PostOffice, sandbox: Sandbox, users: list[str]
) -> None:
    process = start(LAST_BYTE_SENT)
    pid = process.pid
    assert pid
    post_office.before_answer = lambda: os.kill(pid, signal.SIGKILL)
    end_of(process)
    post_office.before_answer = lambda: None
    tick(fleet)
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0])) == [SUBJECT, SUBJECT]
    first, second = post_office.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_lost_answer_is_shown_for_a_week(
    fleet: Fleet, start: Start, post_office: PostOffice
) -> None:
    end_of(start(ANSWER_AWAITED))
    tick(fleet)
    assert len(post_office.mails) == 1
    with connect(postgres_url()) as connection:
        assert [one.integration for one in undelivered(connection)] == ["acme"]
        connection.execute(
            "UPDATE m3sync.notice SET handed_over_at = handed_over_at - interval '8 days'"
        )
        assert undelivered(connection) == []


def test_a_channel_whose_sender_was_killed_is_notified_again(
    fleet: Fleet, start: Start, post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hook.bodies = []
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("M3SYNC_NOTIFY_URLS", f"json://127.0.0.1:{server.server_port}/hook")
        end_of(start(CHANNEL_NOTIFIED))
        tick(fleet)
        tick(fleet)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(Hook.bodies) == 2


def test_a_message_is_tried_at_twenty_ticks_and_then_once_an_hour(
    fleet: Fleet, start: Start, post_office: PostOffice
) -> None:
    post_office.refuse = ["451 later"] * 22
    for _ in range(22):
        tick(fleet)
    assert len(post_office.attempts) == 20
    with connect(postgres_url()) as connection:
        connection.execute(
            "UPDATE m3sync.notice SET attempted_at = attempted_at - interval '61 minutes'"
        )
    tick(fleet)
    tick(fleet)
    assert len(post_office.attempts) == 21
