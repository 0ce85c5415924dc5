"""What happens between the commands of a page: clicks of an admin, failures, people's changes.

The remark ``<!-- before: name -->`` above a block names one of the functions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
import pytest
from sqlalchemy.engine import make_url

from m3sync_dagster.state import connect
from m3sync_dagster_tests.docs.walk import Walk
from m3sync_dagster_tests.guard.fixtures import Fleet, tick
from m3sync_dagster_tests.live.conftest import until

REJECTED = {
    "rows": {
        "object": "m3ter_Account__c",
        "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "Names of customers end with a city",
    },
    "times": None,
}
TEXT = {"type": "Text", "length": 255}
SLOW = {"action": {"kind": "delay", "seconds": 600}, "path": "*/accounts", "times": None}


def credentials_written(walk: Walk) -> None:
    """The reader writes the values into the copy of ``.env.example``."""
    example = (walk.shell.folder / ".env").read_text()
    assert [name for name in walk.sandbox.environment if f"{name}=" not in example] == []
    walk.write_credentials()


def permission_set_assigned(walk: Walk) -> None:
    walk.setup({"assign": "m3sync"})


def integrations_hosted_in_m3ter(walk: Walk) -> None:
    """The admin has made the fields of their custom field mappings."""
    walk.sandbox.organization.add_sample_configurations()
    fields = (("Account", "Tier"), ("Account", "Sales_Region"), ("Contract", "Tier"))
    walk.schema(
        {"object": f"m3ter_{name}__c", "field": f"{field}__c", "set": TEXT}
        for name, field in fields
    )


def balance_changed_by_hand(walk: Walk) -> None:
    (first, *_) = walk.records("m3ter_Balance__c")
    walk.edit("m3ter_Balance__c", first["Id"], {"Amount__c": 1.0})
    walk.shell.environment["M3TER_ID"] = first["m3ter_Id__c"]


def id_of_an_account_known(walk: Walk) -> None:
    walk.shell.environment["M3TER_ID"] = walk.sandbox.organization.ids("accounts")[0]


def wrong_secret(walk: Walk) -> None:
    walk.write_credentials(SALESFORCE_CLIENT_SECRET="wrong")
    walk.type("m3sync run acme --entity account", 1)


def right_secret(walk: Walk) -> None:
    walk.write_credentials()


def names_rejected(walk: Walk) -> None:
    account = walk.sandbox.organization.ids("accounts")[0]
    walk.sandbox.organization.change("accounts", account, name="Acme GmbH")
    walk.salesforce_fault(REJECTED)
    walk.type("m3sync run acme", 1)
    walk.no_faults()
    walk.shell.environment["M3TER_ID"] = account


def rejects_accepted(walk: Walk) -> None:
    """The rule was changed in the meantime."""
    walk.type("m3sync run acme")


def limit_used(walk: Walk) -> None:
    walk.salesforce_fault({"budget": {"max": 15_000, "used": 14_000}})
    account = walk.sandbox.organization.ids("accounts")[1]
    walk.sandbox.organization.change("accounts", account, name="Acme Ltd")
    walk.type("m3sync run acme", 1)
    walk.no_faults()


def ten_failed_runs(walk: Walk) -> None:
    """The guard disables the integration; the mail about it has no mail server."""
    with dagster_of(walk) as instance:
        fleet = Fleet(instance)
        fleet.add("acme", notify=("u1",))
        fleet.fail("acme", 9)
        wrong_secret(walk)
        tick(fleet)


def empty_database_made(walk: Walk) -> None:
    name = f"{make_url(walk.database).database}_restored"
    with psycopg.connect(walk.database, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    restored = make_url(walk.database).set(database=name)
    walk.shell.environment["NEW_POSTGRES_URL"] = restored.render_as_string(hide_password=False)


def run_that_hangs(walk: Walk) -> None:
    walk.m3ter_fault(SLOW)
    walk.type("m3sync run acme > run.log 2>&1 & echo $! > run.pid")
    with dagster_of(walk) as instance:
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        until(lambda: instance.get_runs(started), "the run has started")


def hanging_run_killed(walk: Walk) -> None:
    walk.type("kill -9 $(cat run.pid)")
    walk.no_faults()
    with connect(walk.database) as connection:
        until(lambda: not _locks(connection), "PostgreSQL has seen that the process has ended")


def _locks(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    held = (
        "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory'"
    )
    return connection.execute(f"{held} AND d.datname = current_database()").fetchall()


@contextmanager
def dagster_of(walk: Walk) -> Iterator[dg.DagsterInstance]:
    """The Dagster of the page's project, for this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M3SYNC_POSTGRES_URL", walk.database)
        patch.setenv("DAGSTER_HOME", str(walk.shell.folder))
        with dg.DagsterInstance.get() as instance:
            yield instance


STEPS: dict[str, Callable[[Walk], None]] = {
    step.__name__.replace("_", " "): step
    for step in (
        credentials_written,
        permission_set_assigned,
        integrations_hosted_in_m3ter,
        balance_changed_by_hand,
        id_of_an_account_known,
        wrong_secret,
        right_secret,
        names_rejected,
        rejects_accepted,
        limit_used,
        ten_failed_runs,
        empty_database_made,
        run_that_hangs,
        hanging_run_killed,
    )
}
