"""A run in this process that Dagster's storage and UI cannot tell from one of the daemon's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from m3sync_dagster.cli.exit_codes import DONE, FAILED, REFUSED
from m3sync_dagster.cli.own_code_location import MODULE, own_code_location
from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.components.entity_syncs import FULL_TAG
from m3sync_dagster.components.integration import PARTITION_FORMAT, Integration
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.loaded_integration import LoadedIntegration, with_file_position
from m3sync_dagster.components.materialize import run_tags, sync_checks
from m3sync_dagster.components.schedule import JOB, PARTITION
from m3sync_dagster.dagster_internals import (
    CodePointer,
    ReconstructableJob,
    ReconstructableRepository,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    create_execution_plan,
    execute_run,
    get_current_datetime,
    make_new_run_id,
    partition_loading_context,
    snapshot_from_execution_plan,
)
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.runs.run_status import (
    COMPLETE,
    COUNTS,
    WITHOUT_LINK,
    entity_measures,
    failure_text,
    status_word,
    was_refused,
)
from m3sync_dagster.state import connect, hold_run_lock, postgres_url
from m3sync_dagster.sync.errors import ConfigurationError

_SENT_ROWS = ("created", "updated", "rejected")
_FAILED_ROWS = ("invalid", "rejected", "waiting")
# What the run has to say is in Dagster's storage; a terminal is for the progress and the result.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has done, read back from Dagster.

    Args:
        integration, run_id: the run.
        status: m3ter's status word.
        entities: counts and seconds by entity, of those whose sync came to its end.
        error: why the run failed; ``None`` where it did not.
        refused: whether what failed was refused for its configuration, before it sent a row.
    """

    integration: str
    run_id: str
    status: str
    entities: dict[str, dict[str, int | float]]
    error: str | None
    refused: bool = False

    @property
    def clean(self) -> bool:
        """Whether the run came to its end, and every row is in Salesforce."""
        failed = (measures[name] for measures in self.entities.values() for name in _FAILED_ROWS)
        return self.status == COMPLETE and not any(failed)

    @property
    def exit_code(self) -> int:
        """0 if everything is in Salesforce, 2 if nothing was sent, otherwise 1."""
        if self.clean:
            return DONE
        sent = (measures[name] for measures in self.entities.values() for name in _SENT_ROWS)
        return REFUSED if self.refused and not any(sent) else FAILED

    def as_dict(self) -> dict[str, object]:
        """The report as JSON has it; ``error`` is there only where there is one."""
        report: dict[str, object] = {
            "integration": self.integration,
            "run_id": self.run_id,
            "status": self.status,
            "entities": {
                entity: {
                    name: measures[name] for name in (*COUNTS, WITHOUT_LINK) if name in measures
                }
                for entity, measures in self.entities.items()
            },
        }
        return report | ({"error": self.error} if self.error else {})


def sync(
    environment: Environment,
    found: LoadedIntegration,
    *,
    entity: str | None = None,
    full: bool = False,
) -> Report:
    """Run the sync of an integration's newest complete hour.

    During the integration's first hour it is that hour. The schedule syncs it again after its end.

    Args:
        environment: where the workspace is that the run belongs to.
        found: the integration.
        entity: this entity alone.
        full: send every row, whatever Salesforce has acknowledged.

    Raises:
        ConfigurationError: the integration's first hour has not begun.
    """
    integration = found.integration
    hour = with_file_position(found.path, integration.name, lambda: _newest_hour(integration))
    tags = run_tags(integration) | {PARTITION: hour}
    if full:
        tags[FULL_TAG] = "true"
    entities = [entity] if entity else list(integration.entities)
    keys = [asset_key(integration.name, name) for name in entities]
    job = _job()
    run_id = make_new_run_id()
    tags[PROCESS_TAG] = run_id
    with (
        _only(integration.name),
        dg.DagsterInstance.get() as instance,
        connect(postgres_url()) as connection,
        hold_run_lock(connection, run_id),
    ):
        origin = _origin(environment, instance, job)
        run = _create_run(instance, job, keys, tags, origin)
        # For Dagster an hour does not exist before its end.
        with partition_loading_context(effective_dt=max(get_current_datetime(), _end(hour))):
            execute_run(job, run, instance)
        return _report(instance, integration.name, run_id)


@contextmanager
def _only(integration: str) -> Iterator[None]:
    """Let Dagster load one integration while the block lasts."""
    before = os.environ.get(ONLY_INTEGRATION)
    os.environ[ONLY_INTEGRATION] = integration
    try:
        yield
    finally:
        if before is None:
            del os.environ[ONLY_INTEGRATION]
        else:
            os.environ[ONLY_INTEGRATION] = before


def _create_run(
    instance: dg.DagsterInstance,
    job: ReconstructableJob,
    keys: list[dg.AssetKey],
    tags: dict[str, str],
    origin: RemoteJobOrigin | None,
) -> dg.DagsterRun:
    """Put a run of these assets, and of the checks that their sync answers, on record."""
    assets, checks = frozenset(keys), frozenset(sync_checks(keys))
    chosen = job.get_definition().get_subset(asset_selection=assets, asset_check_selection=checks)
    plan = create_execution_plan(chosen, run_config=_QUIET, tags=tags)
    return instance.create_run(
        job_name=chosen.name,
        run_id=tags[PROCESS_TAG],
        run_config=_QUIET,
        status=None,
        tags=tags,
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, chosen.get_job_snapshot_id()),
        job_snapshot=chosen.get_job_snapshot(),
        parent_job_snapshot=chosen.get_parent_job_snapshot(),
        asset_selection=assets,
        asset_check_selection=checks,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=origin,
        job_code_origin=job.get_python_origin(),
        asset_graph=chosen.asset_layer.asset_graph,
    )


def _newest_hour(integration: Integration) -> str:
    """The key of the newest complete hour, or of the first hour while it lasts."""
    now = get_current_datetime().replace(minute=0)
    if integration.start > f"{now:{PARTITION_FORMAT}}":
        raise ConfigurationError(
            f"the first hour of the integration {integration.name}, {integration.start}, "
            "has not begun",
            "Wait, or set an earlier start.",
            ("start",),
        )
    return max(integration.start, f"{now - timedelta(hours=1):{PARTITION_FORMAT}}")


def _end(hour: str) -> datetime:
    return datetime.strptime(hour, PARTITION_FORMAT).replace(tzinfo=UTC) + timedelta(hours=1)


def _job() -> ReconstructableJob:
    pointer = CodePointer.from_module(MODULE, "defs", str(Path.cwd()))
    return ReconstructableRepository(pointer).get_reconstructable_job(JOB)


def _origin(
    environment: Environment, instance: dg.DagsterInstance, job: ReconstructableJob
) -> RemoteJobOrigin | None:
    """Where the UI finds the run's job; ``None`` if the workspace does not say."""
    try:
        location = own_code_location(environment, instance)
    except ConfigurationError:
        return None
    repository = job.repository.get_definition().name
    return RemoteRepositoryOrigin(location, repository).get_job_origin(JOB)


def _report(instance: dg.DagsterInstance, integration: str, run_id: str) -> Report:
    (run,) = instance.get_runs(dg.RunsFilter(run_ids=[run_id]))
    status = status_word(run)
    return Report(
        integration=integration,
        run_id=run_id,
        status=status,
        entities=entity_measures(instance, integration, run_id),
        error=None if status == COMPLETE else failure_text(instance, run_id),
        refused=status != COMPLETE and was_refused(instance, run_id),
    )
