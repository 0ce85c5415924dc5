"""An organization with five integrations, as the UI shows them side by side.

One is healthy, with one record that is invalid; one fails; the guard has disabled one; one is not
connected; the file of one is broken.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.schedule import JOB
from m3sync_dagster.definitions import defs
from m3sync_dagster.guard.disable_policy import LIMIT
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    HOUR,
    INTEGRATION,
    ROOT,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.live.conftest import Live, serving

HEALTHY, FAILING, DISABLED, UNCONNECTED, BROKEN = (
    "acme", "globex", "initech", "umbrella", "wayne",
)  # fmt: skip
_CREDENTIAL = "  salesforce_credential: salesforce_production\n"
_REFUSED = """\
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce_refused
  client_secret_env: SALESFORCE_REFUSED_SECRET
"""


def write_five(defs: DefsFolder) -> None:
    """Write the files of the five integrations and of their credentials.

    Their schedules start a run half an hour from now: one that fails in the middle of a test would
    put its error in the place of what the guard has said.
    """
    minute = (datetime.now(UTC).minute + 30) % 60
    whole = INTEGRATION.replace("  entities:", f"  minute_of_hour: {minute}\n  entities:")
    only_accounts = whole.partition("    contract")[0]
    refused = only_accounts.replace(_CREDENTIAL, "  salesforce_credential: salesforce_refused\n")
    defs.write("credentials", CREDENTIALS + _REFUSED)
    texts = {
        HEALTHY: whole,
        FAILING: refused,
        DISABLED: refused,
        UNCONNECTED: only_accounts.replace(_CREDENTIAL, ""),
        BROKEN: only_accounts.replace("namespace: custom_objects", "namespace: costum_objects"),
    }
    for name, text in texts.items():
        defs.write(name, text.replace("name: acme", f"name: {name}"))


@contextmanager
def five_integrations(home: Path, database: str) -> Iterator[Live]:
    """Servers over the five integrations and what has happened to them, while the block lasts.

    Args:
        home: an empty folder for ``DAGSTER_HOME``.
        database: the URL of a database with Dagster's tables and ours.
    """
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, home)
    write_five(DefsFolder(home / "defs"))
    with sandbox_of(Organization.sample()) as sandbox:
        sandbox.environment["SALESFORCE_REFUSED_SECRET"] = "another-apps-secret"
        with _environment(home, database, sandbox):
            _happen(sandbox)
        with serving(home, database, sandbox) as live:
            yield live


@contextmanager
def _environment(home: Path, database: str, sandbox: Sandbox) -> Iterator[None]:
    """The environment of the commands, which run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.environment.items():
            patch.setenv(name, value)
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("M3SYNC_POSTGRES_URL", database)
        patch.setenv("M3SYNC_DEFS", str(home / "defs"))
        yield


def _happen(sandbox: Sandbox) -> None:
    """What people and hours have done: the servers start with this history."""
    for name in (HEALTHY, FAILING, DISABLED):
        _command(0, "enable", name)
    _command(0, "run", HEALTHY)
    organization = sandbox.organization
    first, second = organization.ids("accounts")[:2]
    organization.change("accounts", first, name="A new name")
    organization.change("accounts", second, purchaseOrderNumber="x" * 300)
    _command(1, "run", HEALTHY)
    _fail(DISABLED, LIMIT - 1)
    for name in (DISABLED, FAILING):
        _command(1, "run", name)


def _fail(name: str, times: int) -> None:
    """Run a sync that fails: what ``m3sync run`` does, and in less time without its own records."""
    job = defs().resolve_job_def(JOB)
    with dg.DagsterInstance.get() as instance:
        for _ in range(times):
            failed = job.execute_in_process(
                instance=instance,
                partition_key=HOUR,
                asset_selection=[asset_key(name, "account")],
                raise_on_error=False,
            )
            assert not failed.success


def _command(code: int, *args: str) -> None:
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
