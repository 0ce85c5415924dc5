"""Addresses of m3ter's users: looked up when needed, and known from before when m3ter fails."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from m3sync_dagster.guard.enable_disable import Switch
from m3sync_dagster.notifications import m3ter_user_lookup as user_lookup
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import LOCATION, Fleet, PostOffice, Status, changes, tick
from m3sync_dagster_tests.notifications.conftest import (
    directory_at,
    email,
    end_of_tasks,
    notify,
)

pytestmark = pytest.mark.slow

DISABLED = "m3sync: acme is disabled"


def enable(fleet: Fleet, name: str) -> None:
    """What ``m3sync enable`` does."""
    with connect(postgres_url()) as connection:
        Switch(fleet.instance, connection, LOCATION, name, f"{name}_hourly", "3 * * * *").enable()


def break_m3ter(sandbox: Sandbox) -> None:
    fault = {"path": "*", "action": {"kind": "respond", "status": 403}, "times": None}
    sandbox.m3ter.post("/sandbox/faults", json=fault).raise_for_status()


def mend_m3ter(sandbox: Sandbox) -> None:
    sandbox.m3ter.delete("/sandbox/faults").raise_for_status()


def age_addresses(by: timedelta) -> None:
    with connect(postgres_url()) as connection:
        connection.execute("UPDATE m3sync.user_address SET read_at = read_at - %s", (by,))


def known_addresses() -> dict[str, str | None]:
    with connect(postgres_url()) as connection:
        rows = connection.execute("SELECT user_id, email FROM m3sync.user_address").fetchall()
    return dict(rows)


def requests_for_users(sandbox: Sandbox) -> int:
    calls = sandbox.m3ter.get("/sandbox/calls").json()
    return sum(call["path"].endswith("/users") for call in calls)


def test_a_revoked_m3ter_key_keeps_nobody_from_being_notified(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, *users)
    tick(fleet)
    break_m3ter(sandbox)
    fleet.fail("acme", 10)
    lines = tick(fleet)
    for user in users:
        assert post_office.subjects(email(sandbox, user)) == [DISABLED]
    assert "users of the m3ter credential m3ter could not be looked up" in lines
    assert "403" in lines


def test_an_m3ter_that_hangs_keeps_nobody_from_being_notified(  # noqa: PLR0917 - fixtures are arguments
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    post_office: PostOffice,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_lookup, "PREFER_CURRENT", 0.5)
    notify(fleet, sandbox, users[0])
    tick(fleet)
    hangs = directory_at(sandbox, f"http://127.0.0.1:{silent_port}")
    notify(fleet, sandbox, users[0], directory=hangs)
    fleet.fail("acme", 10)
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0])) == [DISABLED]


def test_a_current_address_is_preferred(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    notify(fleet, sandbox, users[0])
    tick(fleet)
    sandbox.organization.change("users", users[0], email="new@example.com")
    fleet.fail("acme", 10)
    tick(fleet)
    assert post_office.subjects("new@example.com") == [DISABLED]
    assert known_addresses() == {users[0]: "new@example.com"}


def test_addresses_are_refreshed_once_a_day(
    fleet: Fleet, sandbox: Sandbox, users: list[str]
) -> None:
    notify(fleet, sandbox, users[0], "nobody-we-know")
    tick(fleet)
    end_of_tasks()
    assert known_addresses() == {users[0]: email(sandbox, users[0]), "nobody-we-know": None}
    before = requests_for_users(sandbox)
    tick(fleet)
    assert requests_for_users(sandbox) == before
    sandbox.organization.change("users", users[0], email="new@example.com")
    age_addresses(timedelta(hours=25))
    tick(fleet)
    end_of_tasks()
    assert known_addresses()[users[0]] == "new@example.com"


def test_a_refresh_that_fails_is_not_made_at_each_tick(
    fleet: Fleet, sandbox: Sandbox, users: list[str]
) -> None:
    break_m3ter(sandbox)
    notify(fleet, sandbox, users[0])
    assert "403" in tick(fleet)
    before = requests_for_users(sandbox)
    assert "403" in tick(fleet)
    assert requests_for_users(sandbox) == before
    mend_m3ter(sandbox)
    with connect(postgres_url()) as connection:
        connection.execute(
            "UPDATE m3sync.failed_address_lookup SET failed_at = failed_at - interval '61 minutes'"
        )
    assert "could not be looked up" not in tick(fleet)
    assert known_addresses() == {users[0]: email(sandbox, users[0])}


def test_integrations_with_one_credential_share_a_look_up(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    for number in range(5):
        notify(fleet, sandbox, users[0], name=f"integration_{number}")
        fleet.fail(f"integration_{number}", 5)
    before = requests_for_users(sandbox)
    tick(fleet)
    assert requests_for_users(sandbox) == before + 1
    assert len(post_office.mails) == 1


def test_of_notices_that_waited_only_the_last_is_sent(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    """m3ter cannot be asked from the start, and is again when the integration works again."""
    break_m3ter(sandbox)
    notify(fleet, sandbox, users[0])
    for _ in range(10):
        fleet.fail("acme")
        tick(fleet)
    fleet.start("acme")
    tick(fleet)
    fleet.run("acme", Status.SUCCESS)
    tick(fleet)
    assert post_office.mails == []
    mend_m3ter(sandbox)
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0])) == ["m3sync: acme works again"]
    # Dagster's UI shows every change all the same.
    assert changes().count("acme:disabled-10") == 1


@pytest.mark.parametrize("start", [Fleet.start, enable])
def test_a_start_withdraws_a_warning(
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    post_office: PostOffice,
    start: Callable[[Fleet, str], None],
) -> None:
    post_office.refuse = ["451 later"]
    notify(fleet, sandbox, users[0])
    fleet.fail("acme", 5)
    tick(fleet)
    start(fleet, "acme")
    tick(fleet)
    assert post_office.mails == []
    assert len(post_office.attempts) == 1


@pytest.mark.parametrize("start", [Fleet.start, enable])
def test_a_start_does_not_withdraw_that_the_integration_works_again(
    fleet: Fleet,
    sandbox: Sandbox,
    users: list[str],
    post_office: PostOffice,
    start: Callable[[Fleet, str], None],
) -> None:
    notify(fleet, sandbox, users[0])
    fleet.fail("acme", 5)
    tick(fleet)
    post_office.refuse = ["451 later"]
    fleet.run("acme", Status.SUCCESS)
    tick(fleet)
    start(fleet, "acme")
    tick(fleet)
    assert post_office.subjects(email(sandbox, users[0]))[1:] == ["m3sync: acme works again"]


def test_a_disabled_integration_that_is_enabled_again_is_not_reported_as_disabled(
    fleet: Fleet, sandbox: Sandbox, users: list[str], post_office: PostOffice
) -> None:
    post_office.refuse = ["451 later"]
    notify(fleet, sandbox, users[0])
    fleet.fail("acme", 10)
    tick(fleet)
    fleet.start("acme")
    tick(fleet)
    assert post_office.mails == []
    assert len(post_office.attempts) == 1
