"""A tick of the guard in a process of its own, which may be killed at a chosen instant."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import freeze_time

from m3sync_dagster.guard.guarded_integration import GuardedIntegration, UserDirectory
from m3sync_dagster.guard.sensor import build_guard
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource
from m3sync_dagster.notifications import delivery, mail_delivery
from m3sync_dagster_tests.guard.fixtures import asset
from m3sync_dagster_tests.guard.killed_sensor_daemon import INSTANTS, die

ENTITIES = ("account", "contract")
Users = Mapping[str, str]
"""By integration, the m3ter user who is notified."""
CHANNEL_NOTIFIED = "a channel is notified"
LAST_BYTE_SENT = "the last byte of a mail is sent, and that is not noted"
_ALSO = {CHANNEL_NOTIFIED: (delivery, "_accepts", True)}


def processes() -> ForkServerContext:
    """Starts processes that have all imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def start_tick(
    context: ForkServerContext, home: Path, users: Users, instant: str | None, now: float
) -> ForkServerProcess:
    """Start a process that does one tick, and is killed if the tick comes to this instant.

    At ``LAST_BYTE_SENT`` it waits until it is killed: only the receiver knows whether it has it.
    """
    process = context.Process(
        target=_tick, args=(dict(os.environ), home, dict(users), instant, now)
    )
    process.start()
    return process


def _tick(
    environment: dict[str, str], home: Path, users: Users, instant: str | None, now: float
) -> None:
    os.environ.update(environment)
    if instant == LAST_BYTE_SENT:
        vars(mail_delivery)["handed_over"] = _wait
    elif instant:
        where, name, after = (INSTANTS | _ALSO)[instant]
        setattr(where, name, die(getattr(where, name), after=after))
    with freeze_time(now), dg.DagsterInstance.from_config(str(home)) as instance:
        evaluate(instance, users)


def _wait(*_: object) -> None:
    threading.Event().wait()


def evaluate(instance: dg.DagsterInstance, users: Users) -> str:
    """Evaluate the sensor once, as the sensor daemon does, and return its lines."""
    sensor = build_guard(list(guarded(users).values()))
    with dg.build_sensor_context(instance=instance) as context:
        return str(sensor.evaluate_tick(context).skip_message)


def guarded(users: Users) -> dict[str, GuardedIntegration]:
    """The integrations, each with one user of the sandbox's m3ter."""
    return {
        name: GuardedIntegration(
            name,
            f"{name}_hourly",
            tuple(asset(name, entity) for entity in ENTITIES),
            (user,),
            UserDirectory("m3ter", _open),
        )
        for name, user in users.items()
    }


@contextmanager
def _open() -> Iterator[M3terSource]:
    given = os.environ
    key = M3terAccessKey(
        given["M3TER_ORG_ID"],
        given["M3TER_API_KEY"],
        given["M3TER_API_SECRET"],
        given["M3TER_BASE_URL"],
    )
    with M3terSource(key, retries=0) as organization:
        yield organization
