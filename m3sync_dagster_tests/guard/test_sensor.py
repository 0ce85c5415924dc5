"""What one tick of the guard says, does and writes down."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from m3sync_dagster.guard import sensor as guard
from m3sync_dagster.guard.health_policy import RejectLimit
from m3sync_dagster.guard.schedules import start, stop
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, START_REMEDY
from m3sync_dagster.state import (
    GuardState,
    connect,
    enqueue,
    list_events,
    postgres_url,
    read_guard_states,
    record_entity_sync,
    record_event,
    write_guard_states,
)
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.guard.fixtures import Fleet, Status, events, state, tick

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STARTED = NOON - timedelta(hours=1)
ELSEWHERE = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "elsewhere")


@pytest.fixture
def noon(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Integrations without a channel, and a tick that may take long, as on a busy machine."""
    monkeypatch.setattr(guard, "BUDGET", PATIENCE)
    for name in ("M3SYNC_NOTIFY_URLS", "M3SYNC_SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    with freeze_time(NOON):
        yield fleet


def add(fleet: Fleet, *names: str) -> None:
    """Integrations of which the user ``u`` is notified, and the user ``r`` of rejected rows."""
    with freeze_time(STARTED):
        for name in names:
            fleet.add(name, notify=("u",))
            fleet.watched[name] = replace(
                fleet.watched[name], other_users=("r",), reject_limit=RejectLimit(rows=1)
            )


def fail(fleet: Fleet, name: str, text: str, times: int) -> list[str]:
    """Let runs fail, each a second after the other; the ids of the runs."""
    runs = []
    for number in range(times):
        with freeze_time(NOON - timedelta(minutes=1) + timedelta(seconds=number)):
            run = fleet.run(name, Status.STARTED)
            fleet.instance.report_run_failed(run, text)
            runs.append(run.run_id)
    return runs


def written() -> dict[str, tuple[set[str], dict[str, object]]]:
    """The notices that are written down: by change the targets and the content."""
    found: dict[str, tuple[set[str], dict[str, object]]] = {}
    with connect(postgres_url()) as connection:
        rows = connection.execute("SELECT change, target, content FROM m3sync.notice").fetchall()
    for change, target, content in rows:
        found.setdefault(change, (set(), content))[0].add(target)
    return found


WAITING = {
    "kind": "failing",
    "schedule": "hourly",
    "failures": 5,
    "run_id": "",
    "since": "",
    "error": "",
    "assets": [],
}
"""A notice of five failures that has not been delivered."""
PAUSED = GuardState(
    "", STARTED.timestamp(), disabled_since=STARTED, disabled_reason="a person has disabled it"
)


def test_what_is_written_when_an_integration_is_disabled(noon: Fleet) -> None:
    add(noon, "acme")
    with freeze_time(NOON):
        start(noon.instance, ELSEWHERE, "acme_hourly", "3 * * * *")
    early = fail(noon, "acme", "Salesforce is down.", 9)
    with freeze_time(NOON - timedelta(minutes=1) + timedelta(seconds=9)):
        unlaunched = noon.run("acme", Status.STARTING, tagged=False)
        noon.instance.report_run_failed(unlaunched, "no node X.")
    lines = tick(noon).splitlines()
    reason = "10 runs in a row have failed, 1 of them could not start, the last one because "
    reason += "the run could not start: no node X"
    assert lines[:4] == [
        "1 integrations are watched.",
        "acme: disabled (10 in a row)",
        "acme: its schedule is stopped",
        f"acme is disabled since 2026-11-24 11:59 UTC: {reason}. Run: m3sync enable acme.",
    ]
    since = NOON - timedelta(seconds=51)
    assert state() == GuardState(
        "acme", STARTED.timestamp(), 0.0, 10, since.timestamp(), since, reason
    )
    content = {
        "kind": "disabled",
        "schedule": "acme_hourly",
        "failures": 10,
        "not_started": 1,
        "run_id": unlaunched.run_id,
        "since": "2026-11-24 11:59:09+00:00",
        "error": "the run could not start: no node X.",
        "remedy": START_REMEDY,
        "assets": [["acme", "salesforce_account"]],
        "location": "m3sync",
    }
    change = f"acme:disabled-10:{unlaunched.run_id}"
    assert written() == {change: ({"user:u", "user:r", "dagster"}, content)}
    with connect(postgres_url()) as connection:
        recorded = {(one.name, one.run_id): one for one in list_events(connection, "acme")}
    disabled = recorded.pop(("integration.disabled.error", unlaunched.run_id))
    assert (disabled.entity, disabled.message, disabled.remedy) == (
        None,
        f"acme is disabled: {reason}",
        "Correct what is wrong, then run: m3sync enable acme.",
    )
    failed = [*early, unlaunched.run_id]
    assert recorded.keys() == {("integration.perform.error", run_id) for run_id in failed}
    tags = {run.run_id: run.tags for run in noon.instance.get_runs()}
    assert {tags[run_id][INTEGRATION_TAG] for run_id in failed} == {"acme"}
    assert {tags[run_id]["m3sync/status"] for run_id in failed} == {"ERROR"}


def test_what_is_done_for_one_integration_is_its_own(noon: Fleet) -> None:
    add(noon, "failing", "fine", "mistaken", "unstorable_before", "unstorable", "recovered")
    add(noon, "paused")
    stop(noon.instance, noon.schedule("paused"))
    queued = noon.run("fine", Status.QUEUED, tagged=False)
    noon.watched["mistaken"] = replace(noon.watched["mistaken"], schedule=[])  # type: ignore[arg-type]
    for name in ("unstorable", "unstorable_before"):
        noon.watched[name] = replace(noon.watched[name], notify=("a\0b",))
        fail(noon, name, "Salesforce is down", 5)
    fifth = fail(noon, "failing", "Salesforce is down", 6)[4]
    success = noon.run("recovered", Status.SUCCESS)
    started = STARTED.timestamp()
    states = [
        GuardState("unstorable_before", guard_error="as before"),
        GuardState("recovered", started, notified_level=5, notified_at=started),
        replace(PAUSED, integration="paused", disabled_until=NOON),
        replace(PAUSED, integration="removed"),
    ]
    with connect(postgres_url()) as connection:
        write_guard_states(connection, states)
        for name in ("recovered", "fine"):
            enqueue(connection, name, f"{name}: waits", ["user:u", "dagster"], WAITING)
    not_storable = "the guard could not evaluate it: a value cannot be stored in PostgreSQL"
    text = tick(noon)
    assert "removed" not in text
    lines = [line.partition(" (PostgreSQL text")[0] for line in text.splitlines()]
    mistake = "TypeError(\"unhashable type: 'list'\")"
    assert lines[:8] == [
        "7 integrations are watched.",
        f"mistaken: the guard could not evaluate it: {mistake}",
        "failing: failing (5 in a row)",
        f"unstorable: {not_storable}",
        "recovered: recovered (5 in a row)",
        "paused: its schedule is started, because the time of --until has come",
        f"unstorable_before: {not_storable}",
        "failing has failed at least 5 times in a row.",
    ]
    with connect(postgres_url()) as connection:
        errors = {name: one.guard_error for name, one in read_guard_states(connection).items()}
    assert errors.pop("unstorable") == errors.pop("unstorable_before")
    assert {name: error for name, error in errors.items() if error} == {"mistaken": mistake}
    assert (noon.schedule("paused").started, state("paused").disabled) == (NOON.timestamp(), False)
    (found,) = noon.instance.get_runs(dg.RunsFilter([queued.run_id]))
    assert found.tags[INTEGRATION_TAG] == "fine"
    everybody = {"user:u", "user:r", "dagster"}
    assert {change: targets for change, (targets, _) in written().items()} == {
        f"failing:failing-5:{fifth}": everybody,
        f"recovered:recovered:{success.run_id}": everybody,
        "recovered: waits": {"dagster"},
        "fine: waits": {"user:u", "dagster"},
    }


def test_what_is_written_of_late_integrations(noon: Fleet) -> None:
    """The newest run since then says why."""
    moments = {
        "no_run": NOON - timedelta(hours=7),
        "failed": NOON - timedelta(hours=9),
        "under_way": NOON - timedelta(hours=7),
    }
    for name, moment in moments.items():
        with freeze_time(moment):
            noon.add(name, notify=("u",))
    with freeze_time(NOON - timedelta(hours=10)):
        noon.run("no_run")
    with freeze_time(moments["failed"] + timedelta(hours=1)):
        refused = noon.run("failed", Status.STARTED)
        noon.instance.report_run_failed(refused, "the quota is used up")
    noon.run("under_way", Status.STARTED)
    assert tick(noon).splitlines()[1:4] == [f"{name}: late" for name in moments]
    for name, moment in moments.items():
        assert state(name).late_since == moment.timestamp()
    text = "it has not synced completely since it was enabled"
    see = "See: m3sync status {0}; m3sync runs {0}"
    log = f"See the log of run {refused.run_id} in Dagster, then run it again."
    expected = {
        "no_run": (f"{text}, and no run of it was started since then", see.format("no_run")),
        "failed": (f"{text}; the last error: the quota is used up", log),
        "under_way": (f"{text}, and its newest run is STARTED", see.format("under_way")),
    }
    assert written() == {
        f"{name}:late:{moments[name].timestamp():.0f}": (
            {"user:u", "dagster"},
            {
                "kind": "late",
                "schedule": f"{name}_hourly",
                "failures": 0,
                "run_id": None,
                "since": moments[name].isoformat(sep=" "),
                "error": error,
                "remedy": remedy,
                "assets": [[name, "salesforce_account"]],
                "location": "m3sync",
            },
        )
        for name, (error, remedy) in expected.items()
    }


def test_what_is_written_of_rejected_rows(noon: Fleet) -> None:
    """Those who are notified of nothing else are told, and what waits for others stays."""
    add(noon, "acme")
    basis = "INSERT INTO m3sync.fingerprint_basis (integration, entity, salesforce_org_id, "
    basis += "m3ter_org_id, object, external_id_field) VALUES ('acme', 'account', '00D', 'm', "
    basis += "'Account', 'x')"
    reject = "INSERT INTO m3sync.rejected_record (integration, entity, m3ter_id, class, code, "
    reject += (
        "message, fields, run_id) VALUES ('acme', 'account', 'b', 'invalid', '', '', '{}', '')"
    )
    login = "INSERT INTO m3sync.credential_login (credential, identity, succeeded_at, "
    login += "organization_id, instance_url) VALUES ('c', 'i', now(), '00D', 'https://acme.test')"
    with connect(postgres_url()) as connection:
        for statement in (basis, reject, login):
            connection.execute(statement)
        record_entity_sync(connection, "acme", "account", "the-run", (100, 1))
        enqueue(connection, "acme", "a warning", ["user:u"], WAITING)
        enqueue(connection, "acme", "many", ["user:r"], WAITING | {"kind": "rejects"})
    assert tick(noon).splitlines()[1] == "acme: rejects"
    content = {
        "kind": "rejects",
        "schedule": "acme_hourly",
        "failures": 0,
        "run_id": "the-run",
        "since": "2026-11-24 12:00:00+00:00",
        "error": "1 of 100 records are invalid or were rejected by Salesforce",
        "remedy": "See: m3sync rejects acme",
        "assets": [["acme", "salesforce_account"]],
        "location": "m3sync",
        "list_views": {"Account": "https://acme.test/lightning/o/Account/list"},
    }
    begun = f"acme:rejects:{NOON.timestamp():.0f}"
    assert written() == {
        "a warning": ({"user:u"}, WAITING),
        begun: ({"user:r", "dagster"}, content),
    }
    with connect(postgres_url()) as connection:
        record_entity_sync(connection, "acme", "account", "the-run", (100, 0))
    assert tick(noon).splitlines()[1] == "acme: rejects_over"
    del content["list_views"]
    error = "0 of 100 records are invalid or were rejected by Salesforce"
    content |= {"kind": "rejects_over", "error": error}
    over = f"acme:rejects_over:{NOON.timestamp():.0f}"
    assert written()[over] == ({"user:r", "dagster"}, content)
    assert written()[begun][0] == {"dagster"}


def test_a_start_withdraws_what_waits_of_failures_and_closes_the_event(noon: Fleet) -> None:
    """Not of an integration of whose failures nobody knows, nor of one that stays disabled."""
    names = ("disabled", "warned", "new", "still_disabled")
    add(noon, *names)
    before = [
        replace(PAUSED, integration="disabled", schedule_started=1.0),
        GuardState("warned", 1.0, notified_level=5, notified_at=1.0),
        replace(PAUSED, integration="still_disabled", guard_error="of the last tick"),
    ]
    with connect(postgres_url()) as connection:
        write_guard_states(connection, before)
        for name in names:
            enqueue(connection, name, f"{name}: waits", ["user:u"], WAITING)
            record_event(connection, name, None, "run", guard.DisabledError("Why", "Enable it."))
    tick(noon)
    assert set(written()) == {"new: waits", "still_disabled: waits"}
    assert [name for name in names if events(name)] == ["warned", "new", "still_disabled"]
    assert not noon.schedule("still_disabled").running


def test_the_guard_is_on_by_default_and_one_for_all_of_its_code_location(noon: Fleet) -> None:
    add(noon, "acme")
    fail(noon, "acme", "Salesforce is down", 10)
    sensor = guard.build_guard(list(noon.watched.values()))
    assert (sensor.name, sensor.minimum_interval_seconds, sensor.default_status) == (
        "integration_guard",
        30,
        dg.DefaultSensorStatus.RUNNING,
    )
    assert "10 failures in a row" in str(sensor.description)
    for place, running in ((ELSEWHERE, True), (None, False)):
        instance = noon.instance
        context = dg.SensorEvaluationContext(None, instance=instance, code_location_origin=place)
        result = sensor.evaluate_tick(context)
        assert str(result.skip_message).startswith("1 integrations are watched.")
        assert noon.schedule("acme").running is running
    reason = "10 runs in a row have failed, the last one because Salesforce is down"
    assert state().disabled_reason == reason


def test_a_tick_leaves_to_the_next_one_what_takes_too_long(
    noon: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(noon, "acme", "globex", "initech")
    monkeypatch.setattr(guard, "BUDGET", 0.0)
    texts = [tick(noon) for _ in range(3)]
    assert texts == [
        "3 integrations are watched.\nThe next tick does 2 of 3 integrations.",
        "3 integrations are watched.\nThe next tick does 1 of 2 integrations.",
        "3 integrations are watched.",
    ]


def test_without_tables_a_tick_says_what_to_run(
    fleet: Fleet, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    assert tick(fleet).endswith("Run: m3sync migrate.")
    with psycopg.connect(empty_postgres_url) as connection:
        (made,) = connection.execute("SELECT to_regnamespace('m3sync')").fetchone() or ()
    assert made is None
