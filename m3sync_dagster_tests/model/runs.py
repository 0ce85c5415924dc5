"""Runs of the integration ``acme`` in this process: the product's own sync of each entity.

What Dagster itself does around an asset takes ten times as long as the sync of a few records, so
quick runs have a stand-in for its context. The others are commands, and go through Dagster.
"""

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest

from m3sync_dagster.cli import in_process_run
from m3sync_dagster.cli.find_integration import find
from m3sync_dagster.cli.in_process_run import Report
from m3sync_dagster.components.entity_syncs import FULL_TAG, STATE
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.loaded_integration import LoadedIntegration
from m3sync_dagster.components.materialize import materialize_entity
from m3sync_dagster.components.resources import LazyResource, StateResource
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.runs.run_status import COMPLETE
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster_tests.cli.conftest import invoke

FATES = ("created", "updated", "unchanged", "invalid", "rejected", "waiting")
_log = logging.getLogger(__name__)


@dataclass
class Run:
    """What came of a run.

    Args:
        counts: by entity, of those whose sync came to its end.
        errors: what was said of those that failed.
        killed: whether the process died.
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    killed: bool = False

    @property
    def complete(self) -> bool:
        """Whether it came to its end."""
        return not self.errors and not self.killed


@dataclass
class _Context:
    """The part of Dagster's context that the sync of an entity uses."""

    run: SimpleNamespace
    resources: SimpleNamespace
    log: logging.Logger = _log
    events: list[object] = field(default_factory=list)
    metadata: dict[dg.AssetKey, object] = field(default_factory=dict)

    @property
    def instance(self) -> "_Context":
        return self

    @property
    def op_execution_context(self) -> "_Context":
        return self

    def add_run_tags(self, run_id: str, tags: dict[str, str]) -> None:
        assert run_id == self.run.run_id
        self.run.tags.update(tags)

    def get_run_by_id(self, run_id: str) -> SimpleNamespace:
        assert run_id == self.run.run_id
        return self.run

    def log_event(self, event: object) -> None:
        self.events.append(event)

    def add_asset_metadata(self, metadata: object, key: dg.AssetKey) -> None:
        self.metadata[key] = metadata


@contextmanager
def _context(found: LoadedIntegration, *, full: bool, only: str | None) -> Iterator[_Context]:
    integration = found.integration
    resources: dict[str, LazyResource] = {
        STATE: StateResource(),
        integration.m3ter_credential: found.m3ter(),
        str(integration.salesforce_credential): found.salesforce(),
    }
    chosen = {asset_key(integration.name, only)} if only else None
    run = SimpleNamespace(
        run_id=str(uuid.uuid4()),
        tags={},
        asset_selection=chosen,
        step_keys_to_execute=None,
        root_run_id=None,
    )
    if full:
        run.tags[FULL_TAG] = "true"
    with ExitStack() as stack:
        for resource in resources.values():
            stack.enter_context(resource.opened())
        yield _Context(run, SimpleNamespace(**resources))


@cache
def _found(_yaml: str) -> LoadedIntegration:
    """The integration as its file says it. Dagster takes long to read one."""
    return find("acme")


def quick(*, full: bool = False, only: str | None = None) -> Run:
    """Run entities, parents before their children, as Dagster does in one process.

    Args:
        full: as of ``m3sync run``.
        only: this entity alone.
    """
    text = (Path(os.environ["M3SYNC_DEFS"]) / "acme" / "defs.yaml").read_text()
    found, run = _found(text), Run()
    try:
        with _context(found, full=full, only=only) as context:
            _materialize(found, context, [only] if only else list(found.integration.entities), run)
    except SyncError as error:
        # Dagster tells of a resource that cannot be closed, and ends the run all the same.
        run.errors.append(str(error))
    return run


def _materialize(found: LoadedIntegration, context: _Context, names: list[str], run: Run) -> None:
    failed: set[str] = set()
    for name in names:
        entity = ENTITIES[name]
        if entity.parents & failed:
            failed.add(name)
            continue
        try:
            given = cast("dg.AssetExecutionContext", context)
            materialize_entity(given, found.integration, entity)
        except dg.Failure as failure:
            failed.add(name)
            run.errors.append(str(failure.description))
        else:
            measured = context.metadata[asset_key(found.integration.name, name)]
            run.counts[name] = cast("dict[str, int]", measured)


def typed(*, full: bool = False, only: str | None = None) -> Run:
    """Type the command ``m3sync run``; as for ``quick``."""
    options = [*(["--full"] if full else []), *(["--entity", only] if only else [])]
    return told(command("run", "acme", "--json", *options))


def told(said: str) -> Run:
    """A run as the command has told of it."""
    answer = json.loads(said)
    return Run(answer["entities"], [answer["error"]] if "error" in answer else [])


def command(*args: str) -> str:
    """Type a command, and give what it prints; 2 is no exit code that it may end with."""
    answer = invoke(*args)
    assert answer.code in {0, 1}, answer.err
    return answer.out


@contextmanager
def quick_repairs() -> Iterator[None]:
    """Let repairs make quick runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_process_run, "sync", lambda *_args, **_options: _report(quick()))
        yield


def _report(run: Run) -> Report:
    error = "; ".join(run.errors) or None
    status = "ERROR" if error else COMPLETE
    counts = cast("dict[str, dict[str, int | float]]", run.counts)
    return Report("acme", "run", status, counts, error)
