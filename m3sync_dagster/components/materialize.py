"""Materializes an asset: runs one entity's sync and reports it to Dagster."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime

import dagster as dg

from m3sync_dagster.components.entity_syncs import (
    STATE,
    Context,
    EntitySyncBuilder,
    record,
    record_replaced,
    resource_of,
)
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.link_report import missing_links
from m3sync_dagster.components.resources import (
    SalesforceResource,
    StateResource,
)
from m3sync_dagster.components.step_failure import SyncFailure
from m3sync_dagster.components.sync_metadata import sync_metadata
from m3sync_dagster.components.sync_report import counts_line, observe_source, source_key
from m3sync_dagster.components.to_sync_error import as_sync_error, traceback_of
from m3sync_dagster.entities import EntityType
from m3sync_dagster.runs.error_observation import show_event
from m3sync_dagster.runs.failure_tags import record_failure
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, REFUSED, WITHOUT_LINK, first_hour
from m3sync_dagster.state import RunState
from m3sync_dagster.sync.account_link_types import LinkBy
from m3sync_dagster.sync.engine import EntitySync, Progress
from m3sync_dagster.sync.errors import (
    ConfigurationError,
    DeadlineError,
    MissingParentError,
    RateLimitError,
    SyncError,
)
from m3sync_dagster.sync.row_results import Count, Counts
from m3sync_dagster.sync.schema_findings import SchemaMismatchError

NO_REJECTED_RECORDS = "no_rejected_records"
"""The check that warns of invalid, rejected and waiting records."""
CREDENTIAL_TAG = "m3sync/salesforce_credential"
LOG_EVERY = 10_000
"""Records that are read or answered between two lines of a run's log."""

_FailureMetadata = dict[str, dg.MetadataValue | str | bool]
Watcher = Callable[[str, Progress], None]
"""Is called with an entity's name and the progress of its sync."""
watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""The function that is called with the progress of this process's syncs."""


def run_tags(integration: Integration) -> dict[str, str]:
    """The tags by which an integration's runs are found."""
    tags = {INTEGRATION_TAG: integration.name}
    if integration.salesforce_credential:
        tags[CREDENTIAL_TAG] = integration.salesforce_credential
    return tags


def sync_checks(keys: Iterable[dg.AssetKey]) -> list[dg.AssetCheckKey]:
    """The checks that a sync of these assets evaluates; by default Dagster would run all checks."""
    return [dg.AssetCheckKey(key, NO_REJECTED_RECORDS) for key in keys]


def materialize_entity(
    context: dg.AssetExecutionContext, integration: Integration, entity: EntityType
) -> dg.MaterializeResult[None]:
    """Sync one entity.

    Raises:
        dagster.Failure: the sync failed; the event and the run's status word are recorded.
    """
    _tag_run(context, integration)
    started = time.monotonic()
    sync = None
    try:
        require_connected(integration)
        _require_start(integration, first_hour(context.run))
        run = EntitySyncBuilder(context, integration)
        calls_before = run.org.calls
        sync = run.prepare(entity)
        logged = 0
        for progress in sync.run(full=run.full):
            logged = _tell(context, entity, progress, logged)
        _record_rejects(context, run.state, entity, sync)
        link = integration.mappings[entity.name].link
        if link and (missing := missing_links(link, sync.links)):
            # Those that were not looked up by code in this run may still have no link.
            record(context, run.state, entity, missing, lasting=link.by is LinkBy.CODE)
        record_replaced(context, run.state, entity, sync)
        metadata = sync_metadata(run.synced_object(entity, sync.rejected), sync.rejected)
        _record_success(context, run.state, integration, entity, sync.counts)
    except Exception as error:  # noqa: BLE001 - every error is recorded as an event
        # Preparing a sync may write to Salesforce, but only to an org that fits.
        unsent = not sync.sending if sync else isinstance(error, SchemaMismatchError)
        raise failed(context, integration, entity, error, nothing_sent=unsent) from None
    measures: dict[str, int | float] = {
        **sync.counts.as_dict(),
        "salesforce_api_calls": run.org.calls - calls_before,
        "duration_seconds": round(time.monotonic() - started, 3),
        **({WITHOUT_LINK: sync.links.without_link} if link else {}),
    }
    context.log.info(counts_line(f"{integration.name}, {entity.name}", measures))
    source = source_key(integration.m3ter_credential, entity)
    observe_source(context, source, integration.name, sync.counts.read)
    key = _key(integration.name, entity)
    # In the result, it would be recorded a second time, with the step's output.
    context.add_asset_metadata({**measures, **metadata}, key)
    return _result(key, sync)


def _tag_run(context: dg.AssetExecutionContext, integration: Integration) -> None:
    """Tag a run, so that it is found later, and take the lock that shows that it is alive.

    Runs that are launched in the UI lack our tags. If PostgreSQL cannot be reached, the sync itself
    reports it, and the run goes on without the lock.
    """
    tags = run_tags(integration)
    with suppress(SyncError):
        state = resource_of(context, STATE, StateResource)
        state.show_stack_traces()
        tags |= state.hold_run_lock(context.instance, context.run)
    context.instance.add_run_tags(context.run.run_id, tags)


def require_connected(integration: Integration) -> None:
    """Make sure that there is a Salesforce org to send to.

    Raises:
        ConfigurationError: the integration is not connected.
    """
    if not integration.connected:
        raise ConfigurationError(
            f"the integration {integration.name} is NOT CONNECTED: it has no Salesforce credential",
            f"Run: m3sync connect {integration.name} CREDENTIAL.",
            ("salesforce_credential",),
        )


def _require_start(integration: Integration, hour: str | None) -> None:
    """Make sure that Dagster can record the hour as filled, before anything is sent.

    Dagster's API launches a run for any hour, and would end it with an internal error afterwards.

    Raises:
        ConfigurationError: the hour is before the first one of the integration.
    """
    if hour is not None and hour < integration.start:
        raise ConfigurationError(
            f"the hour {hour} is before {integration.start}, the start of the integration "
            f"{integration.name}; nothing was sent",
            "Launch an hour from then on, or set an earlier start.",
            ("start",),
        )


def _tell(
    context: dg.AssetExecutionContext, entity: EntityType, progress: Progress, logged: int
) -> int:
    """Show the progress of a sync: to the watcher always, in the log of a long run only.

    Args:
        context: the run's.
        entity: what is synced.
        progress: what is done so far.
        logged: what was done at the last line of the log, as this function returned it.
    """
    if watch := watcher.get():
        watch(entity.name, progress)
    done = progress.read + progress.answered
    # After the results of an earlier run's ingest jobs, both begin at 0 again.
    if abs(done - logged) < LOG_EVERY:
        return logged
    context.log.info(
        "%s: %s read, %s answered by Salesforce",
        entity.label,
        f"{progress.read:,}",
        f"{progress.answered:,}",
    )
    return done


def failed(
    context: Context,
    integration: Integration,
    entity: EntityType,
    stopped_by: Exception,
    *,
    nothing_sent: bool = False,
) -> SyncFailure:
    """Record a failed sync as an event, and give Dagster's failure to raise.

    From here to the next step, Dagster records errors without a stack trace.

    Args:
        context: the run's.
        integration: the integration.
        entity: what has failed.
        stopped_by: the error.
        nothing_sent: whether it is certain that no row was sent.
    """
    error = as_sync_error(stopped_by)
    if error is not stopped_by:
        context.log.error(traceback_of(stopped_by))
    if isinstance(error, RateLimitError | DeadlineError):
        due = integration.next_due(datetime.now(UTC))
        again = f"If its schedule is enabled, it is due again at {due}."
        error = error.with_remedy(f"{error.remedy} {again}")
    show_event(context, _key(integration.name, entity), error)
    text = f"{integration.name}, {entity.name}: {error}"
    try:
        state = resource_of(context, STATE, StateResource)
        state.event(integration.name, entity.name, context.run.run_id, error)
    except SyncError as unrecorded:
        text += f" (The event could not be recorded: {unrecorded})"
    # The guard records an event for a run that failed without these tags, so they come last.
    name = f"{integration.name}/{entity.name}"
    record_failure(context.instance, context.run.run_id, error, name)
    refused = nothing_sent and isinstance(error, ConfigurationError)
    links = _links(context, integration, entity)
    with suppress(SyncError):
        resource_of(context, STATE, StateResource).hide_stack_traces()
    return SyncFailure(text, _metadata(error) | links | {REFUSED: refused}, allow_retries=False)


def _metadata(error: SyncError) -> _FailureMetadata:
    return {"status": error.status, "cause": error.cause, "remedy": error.remedy}


def _links(context: Context, integration: Integration, entity: EntityType) -> _FailureMetadata:
    """Where to look next: the asset with its earlier events, and the Salesforce org."""
    links: _FailureMetadata = {"asset": dg.MetadataValue.asset(_key(integration.name, entity))}
    with suppress(SyncError):  # the org's address may be what is wrong
        if integration.connected:
            org = resource_of(context, integration.salesforce_credential, SalesforceResource)
            links["salesforce_org"] = dg.MetadataValue.url(org.read().login_url)
    return links


def _record_rejects(
    context: dg.AssetExecutionContext, state: RunState, entity: EntityType, sync: EntitySync
) -> None:
    """Record one event for invalid and rejected rows, and one for each kind of waiting rows."""
    counts = sync.counts
    bad = counts[Count.INVALID] + counts[Count.REJECTED]
    remedy = f"See m3sync rejects {state.integration}; correct the records or the mapping."
    if bad:
        cause = f"{bad} {entity.name} records are invalid or were rejected by Salesforce"
        record(context, state, entity, ConfigurationError(cause, remedy))
    if sync.without_record:
        cause = (
            f"{sync.without_record} {entity.name} records have no record in Salesforce, and match: "
            "update_only creates none"
        )
        remedy = (
            "Write their m3ter ids into the external ID field of their Salesforce records, or set "
            f"match: upsert. See m3sync rejects {state.integration}."
        )
        record(context, state, entity, MissingParentError(cause, remedy))
    if waiting := counts[Count.WAITING] - sync.without_record:
        cause = f"{waiting} {entity.name} records wait for a record that is not in Salesforce"
        remedy = (
            "They are sent once that record is there: make sure that an integration carries it. "
            f"See m3sync rejects {state.integration}."
        )
        record(context, state, entity, MissingParentError(cause, remedy))


def _record_success(
    context: dg.AssetExecutionContext,
    state: RunState,
    integration: Integration,
    entity: EntityType,
    counts: Counts,
) -> None:
    bad = counts[Count.INVALID] + counts[Count.REJECTED]
    state.synced(entity.name, context.run.run_id, (counts.read, bad), integration.entities)


def _key(integration: str, entity: EntityType) -> dg.AssetKey:
    return dg.AssetKey([integration, f"salesforce_{entity.name}"])


def _result(key: dg.AssetKey, sync: EntitySync) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=key,
        check_results=[
            dg.AssetCheckResult(
                check_name=NO_REJECTED_RECORDS,
                passed=not sync.counts.failed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    count.value: sync.counts[count]
                    for count in (Count.INVALID, Count.REJECTED, Count.WAITING)
                },
            )
        ],
    )
