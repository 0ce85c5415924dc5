"""The asset check ``salesforce_matches_m3ter``: reads Salesforce back, and never writes to it.

It runs once a day, in a separate job, for each integration whose schedule is running. One job and
one schedule for all integrations make the code location load quickly.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import dagster as dg

from m3sync_dagster.components.entity_syncs import STATE, resource_of
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.materialize import (
    CREDENTIAL_TAG,
    failed,
    require_connected,
)
from m3sync_dagster.components.resources import M3terResource, SalesforceResource, StateResource
from m3sync_dagster.components.schedule import schedule_name
from m3sync_dagster.components.sync_metadata import LIST_VIEW, RECORD_URL
from m3sync_dagster.components.verify_entity import (
    Connections,
    VerifiedEntity,
    verify_entity,
)
from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.runs.kubernetes_tags import kubernetes_tags
from m3sync_dagster.runs.run_status import VERIFIED_TAG
from m3sync_dagster.state import connect, postgres_url, require_current_schema
from m3sync_dagster.sync.reconcile import Example

CHECK = "salesforce_matches_m3ter"
"""The check's name, on each entity's asset."""
VERIFY_JOB = "salesforce_verify"
DAILY = "salesforce_verify_daily"
"""The one schedule of all checks."""
EVALUATED_IN = "evaluated_in"
"""The metadata of a repeated result that names the run that evaluated the check."""
RESULTS_LOOKED_AT = 20
"""Executions among which the last result is looked for."""
_IN = dg.In(dg.Nothing)
_OUT = dg.Out(is_required=False)
_PRIORITY = {"dagster/priority": "-1"}  # the hourly syncs go first


@dataclass(frozen=True, slots=True)
class VerifiedIntegration:
    """An integration: its name, its checks, and its Salesforce credential if it is connected."""

    name: str
    credential: str | None
    checks: list[dg.AssetCheckKey]


def build_check(
    integration: Integration, keys: dict[str, dg.AssetKey], resource_keys: set[str]
) -> dg.AssetChecksDefinition:
    """Build an integration's checks, as one step.

    Args:
        integration: the integration.
        keys: the asset of each entity.
        resource_keys: the resources that its assets use.
    """
    specs = _specs(keys)
    outputs = {spec.get_python_identifier(): spec for spec in specs.values()}
    inputs = {key.to_python_identifier(): key for key in keys.values()}

    def salesforce_matches_m3ter(
        context: dg.AssetCheckExecutionContext, _inputs: object
    ) -> Iterator[dg.AssetCheckResult]:
        for name, spec in specs.items():
            if spec.key not in context.selected_asset_check_keys:
                continue
            if context.run.job_name == VERIFY_JOB:
                yield _verify(context, integration, ENTITIES[name], spec.asset_key)
            else:
                yield from _last_result(context.instance, spec.key)

    # The same as ``@dg.multi_asset_check``, without the time to inspect a signature.
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


def _specs(keys: dict[str, dg.AssetKey]) -> dict[str, dg.AssetCheckSpec]:
    return {
        name: dg.AssetCheckSpec(
            CHECK,
            asset=key,
            description=f"Salesforce's {ENTITIES[name].label} records equal m3ter's in all fields.",
        )
        for name, key in keys.items()
    }


def _last_result(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey
) -> Iterator[dg.AssetCheckResult]:
    """Repeat the last result, so that it stays: a backfill plans the check, and is no check.

    Dagster's backfills name all checks of their assets. One that was planned and has no result is
    shown as skipped, in place of its last result.
    """
    storage = instance.event_log_storage
    for record in storage.get_asset_check_execution_history(key, RESULTS_LOOKED_AT):
        last = record.evaluation
        if isinstance(last, dg.AssetCheckEvaluation):  # or else it was planned and has no result
            said = {name: value for name, value in last.metadata.items() if name != EVALUATED_IN}
            yield dg.AssetCheckResult(
                check_name=key.name,
                asset_key=key.asset_key,
                passed=last.passed,
                severity=last.severity,
                description="The last result again: a sync does not evaluate this check.",
                metadata={
                    **said,
                    EVALUATED_IN: last.metadata.get(
                        EVALUATED_IN, dg.MetadataValue.dagster_run(record.run_id)
                    ),
                },
            )
            return


def _verify(
    context: dg.AssetCheckExecutionContext,
    integration: Integration,
    entity: EntityType,
    key: dg.AssetKey,
) -> dg.AssetCheckResult:
    started = time.monotonic()
    resource_of(context, STATE, StateResource).show_stack_traces()
    try:
        require_connected(integration)
        with connect(postgres_url()) as connection:
            require_current_schema(connection)
        connections = Connections(
            integration,
            resource_of(context, integration.m3ter_credential, M3terResource).organization,
            resource_of(context, integration.salesforce_credential, SalesforceResource).org,
        )
        with verify_entity(connections, entity.name) as verified:
            return _result(key, verified, round(time.monotonic() - started, 3))
    except Exception as error:  # noqa: BLE001 - every error is recorded as an event
        raise failed(context, integration, entity, error) from None


def _result(key: dg.AssetKey, verified: VerifiedEntity, seconds: float) -> dg.AssetCheckResult:
    """The check's result; records that the next sync will send are not drift."""
    counts = verified.counts
    metadata: dict[str, dg.MetadataValue | int | float] = {
        **asdict(counts),
        "salesforce_api_calls": verified.calls,
        "duration_seconds": seconds,
        LIST_VIEW: dg.MetadataValue.url(verified.links.list_view(verified.object_name)),
    }
    if verified.encrypted:
        metadata["encrypted"] = dg.MetadataValue.text(", ".join(verified.encrypted))
    if verified.examples:
        rows = [row for one in verified.examples for row in _table_rows(one, verified.link(one))]
        metadata["examples"] = dg.MetadataValue.table(rows)
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=key,
        passed=not (counts.drifted or counts.extra),
        severity=dg.AssetCheckSeverity.ERROR if counts.drifted else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _table_rows(example: Example, link: str | None) -> Iterator[dg.TableRecord]:
    for name, (m3ter, salesforce) in (example.fields or {"": (None, None)}).items():
        yield dg.TableRecord(
            {
                "m3ter_id": example.m3ter_id,
                "difference": example.kind,
                "pending": example.pending,
                "field": name,
                "m3ter": _cell(m3ter),
                "salesforce": _cell(salesforce),
                RECORD_URL: link or "",
            }
        )


def _cell(value: object) -> str:
    return "" if value is None else str(value)[:200]


def build_verify_schedule(
    integrations: Sequence[VerifiedIntegration],
) -> dg.ScheduleDefinition:
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
        """Request a verification of each integration that syncs, or say that none does."""
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
                tags={VERIFIED_TAG: one.name, CREDENTIAL_TAG: credential, **_PRIORITY}
                | kubernetes_tags(context.instance, one.name),
            )

    return daily
