"""The asset check ``salesforce_matches_m3ter``: reads Salesforce back, and never writes to it.

It runs apart from the hourly sync, in a job of its own, once a day for each integration whose
schedule is running. One definition for all of them keeps the loading of the code location quick.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from m3sync_dagster.components.entity_runs import resource_of
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.materialize import (
    CREDENTIAL_TAG,
    failed,
    require_connected,
)
from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.components.schedule import JOB, schedule_name
from m3sync_dagster.components.sync_job import SyncJob
from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.state import (
    PostgresReconciliation,
    connect,
    postgres_url,
    require_current_schema,
)
from m3sync_dagster.sync.reconcile import Example, Reconciler

CHECK = "salesforce_matches_m3ter"
"""The check's name, on each entity's asset."""
VERIFY_JOB = "salesforce_verify"
DAILY = "salesforce_verify_daily"
"""The one schedule of all checks."""
VERIFIED_TAG = "m3sync/verified_integration"
"""Run tag with the integration that a run verifies; those of ``INTEGRATION_TAG`` are syncs."""
_IN = dg.In(dg.Nothing)
_OUT = dg.Out(is_required=False)
_PRIORITY = {"dagster/priority": "-1"}  # the hourly syncs go first


@dataclass(frozen=True, slots=True)
class Checked:
    """An integration: its name, its checks, and its Salesforce credential if it is connected."""

    name: str
    credential: str | None
    checks: list[dg.AssetCheckKey]


def build_check(
    integration: Integration, keys: dict[str, dg.AssetKey], resource_keys: set[str]
) -> dg.AssetChecksDefinition:
    """Build an integration's checks, as one step.

    Args:
        integration: whose they are.
        keys: the asset of each entity.
        resource_keys: the resources that its assets use.
    """
    specs = {
        name: dg.AssetCheckSpec(
            CHECK,
            asset=key,
            description=f"Salesforce holds m3ter's {ENTITIES[name].label} records, field by field.",
        )
        for name, key in keys.items()
    }
    outputs = {spec.get_python_identifier(): spec for spec in specs.values()}
    inputs = {key.to_python_identifier(): key for key in keys.values()}

    def salesforce_matches_m3ter(
        context: dg.AssetCheckExecutionContext, _inputs: object
    ) -> Iterator[dg.AssetCheckResult]:
        if not _verifies(context.run):
            context.log.info("A sync does not verify; the job %s does.", VERIFY_JOB)
            return
        for name, spec in specs.items():
            if spec.key in context.selected_asset_check_keys:
                yield _verify(context, integration, ENTITIES[name], spec.asset_key)

    # What ``@dg.multi_asset_check`` makes, without the time it takes to look at a signature.
    built: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=inputs,
        check_specs_by_output_name=outputs,
        can_subset=True,
        node_def=dg.OpDefinition(
            salesforce_matches_m3ter,
            name=f"{integration.name}__{CHECK}",
            ins=dict.fromkeys(inputs, _IN),
            outs=dict.fromkeys(outputs, _OUT),
            required_resource_keys=resource_keys,
        ),
    )
    return built


def _verifies(run: dg.DagsterRun) -> bool:
    """Whether a run is for the checks alone.

    Dagster adds all checks to a sync that is launched without saying which, as its UI does.
    """
    alone = bool(run.asset_check_selection) and not run.asset_selection
    return alone or run.job_name == VERIFY_JOB


def _verify(
    context: dg.AssetCheckExecutionContext,
    integration: Integration,
    entity: EntityType,
    key: dg.AssetKey,
) -> dg.AssetCheckResult:
    started = time.monotonic()
    try:
        require_connected(integration)
        require_current_schema(postgres_url())
        with connect(postgres_url()) as connection:
            verification = Reconciler(
                integration.mappings[entity.name],
                resource_of(context, integration.m3ter_credential, M3terResource).organization,
                resource_of(context, integration.salesforce_credential, SalesforceResource).org,
                PostgresReconciliation(connection, integration.name, entity.name),
                integration.entities[entity.name].gone_field,
            )
            for _ in verification.run():
                pass
    except Exception as error:  # noqa: BLE001 - whatever stops a check is on record as an event
        raise failed(context, integration, entity, error) from None
    return _result(key, verification, round(time.monotonic() - started, 3))


def _result(key: dg.AssetKey, found: Reconciler, seconds: float) -> dg.AssetCheckResult:
    """What has only not been sent yet is the next sync's business, and no drift."""
    tally = found.counts
    metadata: dict[str, dg.MetadataValue | int | float] = {
        **asdict(tally),
        "salesforce_api_calls": found.calls,
        "duration_seconds": seconds,
    }
    if found.examples:
        rows = [row for example in found.examples for row in _table_rows(example)]
        metadata["examples"] = dg.MetadataValue.table(rows)
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=key,
        passed=not (tally.drifted or tally.extra),
        severity=dg.AssetCheckSeverity.ERROR if tally.drifted else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _table_rows(example: Example) -> Iterator[dg.TableRecord]:
    for name, (wanted, held) in (example.fields or {"": (None, None)}).items():
        yield dg.TableRecord(
            {
                "m3ter_id": example.m3ter_id,
                "difference": example.kind,
                "pending": example.pending,
                "field": name,
                "m3ter": _short(wanted),
                "salesforce": _short(held),
            }
        )


def _short(value: object) -> str:
    return "" if value is None else str(value)[:200]


def build_jobs(integrations: Sequence[Checked]) -> list[UnresolvedAssetJobDefinition]:
    """Build the two jobs: a sync does not verify, and verifying syncs nothing."""
    verifying = dg.AssetSelection.checks(*(key for one in integrations for key in one.checks))
    return [
        SyncJob(
            JOB,
            selection=dg.AssetSelection.all() - verifying,
            executor_def=dg.in_process_executor,
            description="Syncs the integrations whose assets a run selects.",
        ),
        dg.define_asset_job(
            VERIFY_JOB,
            selection=verifying,
            executor_def=dg.in_process_executor,
            description="Compares Salesforce with m3ter, and writes nothing.",
        ),
    ]


def build_daily(integrations: Sequence[Checked]) -> dg.ScheduleDefinition:
    """Build the schedule: one run a day for each integration that syncs."""

    @dg.schedule(
        name=DAILY,
        job_name=VERIFY_JOB,
        cron_schedule="40 2 * * *",
        execution_timezone="UTC",
        description="Compares Salesforce with m3ter once a day, for each integration whose "
        "schedule is running.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        schedules = read_schedules(context.instance, None)
        running = {name for name, schedule in schedules.items() if schedule.running}
        chosen = [
            (one, one.credential)
            for one in integrations
            if one.credential and schedule_name(one.name) in running
        ]
        if not chosen:
            yield dg.SkipReason("no integration's schedule is running")
        for one, credential in chosen:
            yield dg.RunRequest(
                run_key=f"{one.name} {context.scheduled_execution_time:%Y-%m-%d}",
                asset_selection=[],
                asset_check_keys=one.checks,
                tags={VERIFIED_TAG: one.name, CREDENTIAL_TAG: credential, **_PRIORITY},
            )

    return daily
