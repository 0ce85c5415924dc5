"""Runs that could not start: they count, and the message says so and what to raise."""

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason

from m3sync_dagster.state import connect, list_events, postgres_url
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice, Status, state, tick
from m3sync_dagster_tests.notifications.conftest import notify

pytestmark = pytest.mark.slow

TIMED_OUT = "Run timed out due to taking longer than 180 seconds to start."
SETTING = "start_timeout_seconds under run_monitoring in dagster.yaml"
LAUNCHER = "give the run launcher more CPU and memory"


def time_out(fleet: Fleet, times: int) -> list[dg.DagsterRun]:
    """Let runs fail as Dagster's run monitoring fails a slow start."""
    reason = JobFailureData(error=None, failure_reason=RunFailureReason.START_TIMEOUT)
    runs = [fleet.run("acme", Status.STARTING) for _ in range(times)]
    for run in runs:
        fleet.instance.report_run_failed(run, TIMED_OUT, reason)
    return runs


def text_of(office: PostOffice) -> str:
    (mail,) = office.mails
    body = mail.get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def test_ten_slow_starts_disable_and_the_mail_says_what_to_raise(
    fleet: Fleet, sandbox: Sandbox, post_office: PostOffice
) -> None:
    notify(fleet, sandbox, sandbox.organization.ids("users")[0])
    time_out(fleet, 10)
    tick(fleet)
    assert not fleet.schedule("acme").running
    reason = str(state().disabled_reason)
    assert "10 of them could not start" in reason
    assert f"the run could not start: {TIMED_OUT[:-1]}" in reason
    mail = text_of(post_office)
    for wanted in (TIMED_OUT, "Could not start: 10 of 10 runs", SETTING, LAUNCHER):
        assert wanted in mail
    with connect(postgres_url()) as connection:
        starts = [one for one in list_events(connection, "acme") if TIMED_OUT[:-1] in one.message]
    remedies = {one.name: one.remedy for one in starts}
    assert remedies.keys() == {"integration.perform.error", "integration.disabled.error"}
    assert SETTING in remedies["integration.perform.error"]


def test_slow_starts_among_other_failures_are_named_beside_the_last_error(
    fleet: Fleet, sandbox: Sandbox, post_office: PostOffice
) -> None:
    notify(fleet, sandbox, sandbox.organization.ids("users")[0])
    fleet.fail("acme", 3)
    time_out(fleet, 6)
    fleet.instance.report_run_failed(fleet.run("acme", Status.STARTED), "Salesforce is down")
    tick(fleet)
    reason = str(state().disabled_reason)
    assert "6 of them could not start, the last one because Salesforce is down" in reason
    mail = text_of(post_office)
    assert "Could not start: 6 of 10 runs" in mail
    assert SETTING in mail
    assert "Last error: Salesforce is down" in mail


def test_a_message_about_other_failures_says_nothing_of_starts(
    fleet: Fleet, sandbox: Sandbox, post_office: PostOffice
) -> None:
    notify(fleet, sandbox, sandbox.organization.ids("users")[0])
    time_out(fleet, 4)
    fleet.run("acme", Status.SUCCESS)
    for _ in range(10):
        fleet.instance.report_run_failed(fleet.run("acme", Status.STARTED), "Salesforce is down")
    tick(fleet)
    assert "could not start" not in str(state().disabled_reason)
    mail = text_of(post_office)
    assert "Could not start" not in mail
    assert SETTING not in mail
