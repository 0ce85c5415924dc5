"""When an integration is late, and when too many of its rows are rejected: one case a line."""

from datetime import UTC, datetime

import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from m3sync_dagster.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    RemoteRepositoryOrigin,
    ScheduleInstigatorData,
)
from m3sync_dagster.guard.health_policy import LATE_AFTER, Health, RejectLimit, watch
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState, SyncedEntity

NOW = 1_800_000_000.0
LONG_AGO = NOW - LATE_AFTER
JUST_NOW = NOW - LATE_AFTER + 1
ORIGIN = RemoteRepositoryOrigin(
    ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "m3sync"), "__repository__"
).get_instigator_origin("acme_hourly")


def schedule(started: float | None) -> Schedule:
    """One that was started then, or that a person has stopped."""
    status = InstigatorStatus.STOPPED if started is None else InstigatorStatus.RUNNING
    data = ScheduleInstigatorData("3 * * * *", started)
    return Schedule(InstigatorState(ORIGIN, InstigatorType.SCHEDULE, status, data))


def health(
    syncs: dict[str, float],
    limit: RejectLimit | None = None,
    counts: tuple[int | None, int | None] = (100, 0),
) -> Health:
    """Accounts and contracts, each with the time of its last sync, if it has one."""
    found = {
        name: SyncedEntity("acme", name, f"run of {name}", datetime.fromtimestamp(at, UTC), *counts)
        for name, at in syncs.items()
    }
    return Health(frozenset(("account", "contract")), found, limit)


@pytest.mark.parametrize(
    ("state", "started", "syncs", "kinds"),
    [
        # A success of each entity is what counts.
        ({}, 0.0, {"account": JUST_NOW, "contract": JUST_NOW}, []),
        ({}, 0.0, {"account": NOW, "contract": LONG_AGO}, ["late"]),
        ({}, 0.0, {"account": NOW}, ["late"]),
        ({}, 0.0, {}, ["late"]),
        # One that was only just started has had no time.
        ({}, JUST_NOW, {}, []),
        ({}, LONG_AGO, {}, ["late"]),
        # One that does not run by itself is not late.
        ({}, None, {}, []),
        ({"disabled_since": datetime.now(UTC)}, 0.0, {}, []),
        # People who know that it fails are not told again.
        ({"notified_level": 5}, 0.0, {}, []),
        # They are told once, and again when it is over.
        ({"late_since": LONG_AGO}, 0.0, {"account": NOW, "contract": LONG_AGO}, []),
        ({"late_since": LONG_AGO}, 0.0, {"account": NOW, "contract": NOW - 1}, ["recovered"]),
        # Starting it again begins anew.
        ({"late_since": LONG_AGO - 1}, LONG_AGO, {}, ["late"]),
        ({"late_since": LONG_AGO - 1}, JUST_NOW, {}, []),
    ],
)
def test_lateness(
    state: dict[str, object], started: float | None, syncs: dict[str, float], kinds: list[str]
) -> None:
    before = GuardState("acme", **state)  # type: ignore[arg-type] # the columns of the table
    after, changes = watch(before, schedule(started), health(syncs), NOW)
    assert [change.kind.value for change in changes] == kinds
    again, more = watch(after, schedule(started), health(syncs), NOW)
    assert (again, more) == (after, [])


@pytest.mark.parametrize(
    ("limit", "counts", "before", "kinds"),
    [
        (None, (100, 100), False, []),
        (RejectLimit(rows=10), (100, 4), False, []),
        (RejectLimit(rows=10), (100, 5), False, ["rejects"]),
        (RejectLimit(rows=10), (100, 5), True, []),
        (RejectLimit(rows=10), (100, 4), True, ["rejects_over"]),
        (RejectLimit(rows=1000, share=0.05), (100, 5), False, ["rejects"]),
        (RejectLimit(share=0.05), (100, 4), False, []),
        (RejectLimit(share=0.05), (0, 0), False, []),
        (RejectLimit(rows=1), (0, 0), False, []),
        (RejectLimit(rows=2), (1, 1), False, ["rejects"]),
        # What is not known is no reason to say that all is well.
        (RejectLimit(rows=1), (None, None), True, []),
        (None, (100, 100), True, []),
    ],
)
def test_rejects(
    limit: RejectLimit | None,
    counts: tuple[int | None, int | None],
    before: bool,
    kinds: list[str],
) -> None:
    """Two entities have these counts each."""
    state = GuardState("acme", rejects_since=1.0 if before else None)
    found = health({"account": NOW, "contract": NOW}, limit, counts)
    after, changes = watch(state, schedule(NOW), found, NOW)
    assert [change.kind.value for change in changes] == kinds
    again, more = watch(after, schedule(NOW), found, NOW)
    assert (again, more) == (after, [])


def test_an_entity_that_was_never_synced_says_nothing_of_rejects() -> None:
    state = GuardState("acme", rejects_since=1.0)
    after, changes = watch(state, None, health({"account": NOW}, RejectLimit(rows=1)), NOW)
    assert (after, changes) == (state, [])


def test_without_a_limit_it_is_forgotten_that_rows_were_rejected() -> None:
    state = GuardState("acme", rejects_since=1.0)
    after, _ = watch(state, None, health({"account": NOW}, limit=None), NOW)
    assert after.rejects_since is None


@pytest.mark.parametrize("rejected", [0, 100])
def test_a_change_names_the_newest_sync(rejected: int) -> None:
    state = GuardState("acme", late_since=0.0, rejects_since=None if rejected else 1.0)
    found = health({"account": NOW - 1, "contract": NOW}, RejectLimit(rows=1), (100, rejected))
    _, changes = watch(state, schedule(0.0), found, NOW)
    assert [(change.run_id, change.since) for change in changes] == [
        ("run of contract", NOW - 1),  # the recovery
        ("run of contract", NOW),
    ]


@pytest.mark.parametrize(
    ("limit", "read", "rejected", "reached"),
    [
        (RejectLimit(rows=1), 1, 1, True),
        (RejectLimit(share=1.0), 1, 1, True),
        (RejectLimit(share=1.0), 2, 1, False),
        (RejectLimit(rows=2, share=0.5), 4, 1, False),
    ],
)
def test_a_limit(limit: RejectLimit, read: int, rejected: int, reached: bool) -> None:
    assert limit.is_reached(read, rejected) is reached


def test_the_message_says_how_many_and_since_when() -> None:
    limit = RejectLimit(rows=10)
    found = health({"account": LONG_AGO, "contract": LONG_AGO}, limit, (100, 6))
    _, (late, rejects) = watch(GuardState("acme"), schedule(0.0), found, NOW)
    assert late.text == "it has not synced completely since 2027-01-15 02:00 UTC"
    assert rejects.text == "12 of 200 records are invalid or were rejected by Salesforce"
    assert late.run_id == "run of account"
    assert late.name("acme") == f"acme:late:{LONG_AGO:.0f}"
