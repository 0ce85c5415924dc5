"""Enabling, disabling, connecting and disconnecting, as they are typed."""

from pathlib import Path

from m3sync_dagster.state import connect, enqueue, postgres_url
from m3sync_dagster.state.outbox import due_notices, not_delivered
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

ACME = (DEFS / "acme" / "defs.yaml").read_text()
CONNECTED = "  salesforce_credential: salesforce_sandbox\n"


def status(stage: Stage) -> tuple[bool, bool, str | None]:
    (row,) = stage.run("status", "--json").json
    return row["connected"], row["enabled"], row["disabled_reason"]


def test_enable_and_disable(stage: Stage) -> None:
    assert stage.run("enable", "acme").code == 0
    assert status(stage) == (False, True, None)
    assert stage.run("disable", "acme").code == 0
    _, enabled, reason = status(stage)
    assert not enabled
    assert "a person" in str(reason)
    assert stage.run("enable", "acme").code == 0
    assert status(stage) == (False, True, None)


def test_disable_before_it_was_ever_enabled(stage: Stage) -> None:
    assert stage.run("disable", "acme").code == 0
    assert status(stage)[1] is False


def test_disable_until_a_time(stage: Stage) -> None:
    stage.run("enable", "acme")
    answer = stage.run("disable", "acme", "--until", "9000-12-24T09:00+01:00")
    assert answer.code == 0
    assert "acme is disabled until 9000-12-24 08:00 UTC." in answer.err
    assert "Nothing runs by itself now: no daemon has been seen" in answer.err
    (row,) = stage.run("status", "--json").json
    assert row["disabled_until"] == "9000-12-24T08:00:00Z"
    assert row["disabled_reason"].startswith("disabled until 9000-12-24 08:00 UTC, since ")
    shown = " ".join(stage.run("status", "acme").out.split())
    assert "no: disabled until 9000-12-24 08:00 UTC" in shown
    stage.run("disable", "acme")
    (row,) = stage.run("status", "--json").json
    assert row["disabled_until"] is None
    assert row["disabled_reason"].startswith("since ")


def test_disable_until_what_is_no_time_to_come(stage: Stage) -> None:
    stage.run("enable", "acme")
    for text, cause in {
        "2020-12-24T08:00Z": "past",
        "9000-12-24T08:00": "offset",
        "tomorrow": "time",
    }.items():
        answer = stage.run("disable", "acme", "--until", text)
        assert answer.code == 2
        assert cause in answer.err
    assert status(stage) == (False, True, None)


def test_a_name_that_is_none(stage: Stage) -> None:
    for command in ("enable", "disable", "disconnect"):
        answer = stage.run(command, "nix")
        assert answer.code == 2
        assert "nix" in answer.err
    assert stage.run("connect", "nix", "salesforce_sandbox").code == 2


def test_connect_and_disconnect(stage: Stage, defs: Path) -> None:
    assert CONNECTED in ACME
    path = write(defs, "acme", ACME)
    answer = stage.run("disconnect", "acme")
    assert answer.code == 0
    assert "NOT CONNECTED" in answer.err
    assert path.read_text() == ACME.replace(CONNECTED, "")
    assert status(stage) == (False, False, "NOT CONNECTED")
    assert stage.run("run", "acme").code == 2
    answer = stage.run("connect", "acme", "salesforce_sandbox")
    assert answer.code == 0
    assert "CONNECTED" in answer.err
    assert "m3sync check acme" in answer.err
    assert status(stage)[0] is False
    unknown = stage.run("connect", "acme", "nobody_s")
    assert unknown.code == 2
    assert "salesforce_sandbox" in unknown.err
    assert stage.run("run", "acme", "--entity", "account").code == 0
    assert status(stage)[0] is True


def test_a_message_that_has_not_arrived_is_shown(stage: Stage) -> None:
    """Nobody could be told, since there is no mail server: status says so."""
    with connect(postgres_url()) as connection:
        enqueue(connection, "acme", "acme:disabled-10:run", ["user:4711"], {"kind": "disabled"})
        (notice,) = due_notices(connection)
        not_delivered(connection, [notice], "the mail server is down")
    (row,) = stage.run("status", "--json").json
    assert [one["error"] for one in row["undelivered"]] == ["the mail server is down"]
    answer = stage.run("status")
    assert answer.code == 0
    assert "user:4711" in answer.err
    assert "the mail server is down" in answer.err
