"""Runs, read from Dagster's storage, with m3ter's status words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from m3sync_dagster.dagster_internals import JobFailureData, SerializableErrorInfo
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.runs.failure_tags import recorded_failure
from m3sync_dagster.state import storable
from m3sync_dagster.sync.errors import SyncError

INTEGRATION_TAG = "m3sync/integration"
"""Run tag with the name of the integration that a run syncs."""
VERIFIED_TAG = "m3sync/verified_integration"
"""Run tag with the integration that a run verifies; those of ``INTEGRATION_TAG`` are syncs."""
TICK_TAG = "m3sync/scheduled_for"
"""Run tag with the tick of the schedule that requested a run: its runs count as one."""
REFUSED = "refused_before_sending"
"""Metadata of a failed sync: whether the configuration was refused, with no row sent."""
COMPLETE = "COMPLETE"
COUNTS = (
    "read",
    "created",
    "updated",
    "unchanged",
    "invalid",
    "rejected",
    "waiting",
    "salesforce_api_calls",
)
"""What a sync counts for each entity, as the materialization's metadata calls it."""
SECONDS = "duration_seconds"
"""How long it took, beside the counts."""
WITHOUT_LINK = "without_link"
"""How many accounts have no link to the CRM's own record, if the mapping has one."""

START_REMEDY = (
    "If starts are slow, raise start_timeout_seconds under run_monitoring in dagster.yaml, or give "
    "the run launcher more CPU and memory; if the launch failed, correct what the error says."
)
"""What to do about runs that could not start.

Source: Dagster documentation, "Run monitoring": a run that is not started in this time is failed.
"""

_MEASURES = (*COUNTS, SECONDS)
_Status = dg.DagsterRunStatus
_WILL_RETRY = "dagster/will_retry"
_Event = dg.DagsterEventType
_ENDINGS = {_Event.STEP_FAILURE, _Event.RUN_FAILURE, _Event.RUN_CANCELED}
_PARTITION = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_WORDS = {
    _Status.SUCCESS: COMPLETE,
    _Status.FAILURE: "ERROR",
    _Status.CANCELED: "ERROR",
    _Status.STARTED: "STARTED",
    _Status.CANCELING: "STARTED",
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as views show it.

    Args:
        run_id: Dagster's id.
        status: m3ter's status word.
        partition: the hour's key, or the first and the last joined by three dots.
        started, ended: ISO 8601, UTC; ``None`` for what has not happened yet.
    """

    run_id: str
    status: str
    partition: str | None
    started: str | None
    ended: str | None


def entity_of(key: dg.AssetKey) -> str:
    """The name of the entity that an asset holds."""
    return key.path[-1].removeprefix("salesforce_")


def status_word(run: dg.DagsterRun) -> str:
    """m3ter's status word for a run; one that waits for its turn is ``WAITING``.

    A canceled run is an ``ERROR``: m3ter has no word of its own for it.
    Source: m3ter API reference, "IntegrationRun", ``status``.
    """
    if run.status is _Status.FAILURE:
        if run.tags.get(_WILL_RETRY) == "true":
            return "AWAITING_RETRY"
        recorded = recorded_failure(run)
        return recorded.status if recorded else _WORDS[run.status]
    return _WORDS.get(run.status, "WAITING")


def last_run(instance: dg.DagsterInstance, integration: str) -> RunSummary | None:
    """The newest run of an integration, whatever its status."""
    records = instance.get_run_records(_runs_of(integration), limit=1)
    return summary(records[0]) if records else None


def newest_runs(
    instance: dg.DagsterInstance, integrations: Collection[str], since: datetime
) -> dict[str, RunSummary]:
    """The newest run of each integration that was created since then: one query for all."""
    created = dg.RunsFilter(tags={INTEGRATION_TAG: sorted(integrations)}, created_after=since)
    newest: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(created):  # the newest first
        newest.setdefault(record.dagster_run.tags[INTEGRATION_TAG], record)
    return {name: summary(record) for name, record in newest.items()}


def summary(record: dg.RunRecord) -> RunSummary:
    """A run record in our words."""
    run = record.dagster_run
    return RunSummary(
        run_id=run.run_id,
        status=status_word(run),
        partition=_partition(run),
        started=_moment(record.start_time),
        ended=_moment(record.end_time),
    )


def entity_measures(
    instance: dg.DagsterInstance, integration: str, run_id: str
) -> dict[str, dict[str, int | float]]:
    """What a run measured for each entity whose sync was completed: ``COUNTS`` and ``SECONDS``.

    An entity with a link has ``WITHOUT_LINK`` too. Parents come before their children. What it did
    for other integrations is left out.
    """
    records = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    measures = {}
    for record in records:
        materialization = record.asset_materialization
        if materialization and materialization.asset_key.path[0] == integration:
            entity = entity_of(materialization.asset_key)
            linked = (WITHOUT_LINK,) if WITHOUT_LINK in materialization.metadata else ()
            names = (*_MEASURES, *linked)
            measures[entity] = {name: _number(materialization, name) for name in names}
    return {name: measures[name] for name in ENTITIES if name in measures}


def failure(instance: dg.DagsterInstance, run_id: str) -> SyncError:
    """Why a run failed, and what to do about it."""
    remedy = f"See the log of run {run_id} in Dagster, then run it again."
    started, endings = _endings(instance, run_id)
    for event in endings:
        given = _failure_metadata(event)
        if "cause" in given and "remedy" in given:
            return SyncError(*(storable(str(given[name].value)) for name in ("cause", "remedy")))
        if text := _error_text(event):
            if started:
                return SyncError(storable(text), remedy)
            return SyncError(f"the run could not start: {storable(text)}", START_REMEDY)
    return SyncError("the run failed and recorded no error", remedy)


def failure_text(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Why a run failed: the error of the first step that failed, or else of the run itself."""
    _, endings = _endings(instance, run_id)
    for event in endings:
        if text := _error_text(event):
            return storable(text)
    return None


def was_refused(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether each sync that failed was refused for its configuration before it sent a row."""
    _, endings = _endings(instance, run_id)
    steps = [event for event in endings if event.is_step_failure]
    given = [_failure_metadata(event).get(REFUSED) for event in steps]
    return bool(given) and all(one is not None and one.value for one in given)


def _endings(instance: dg.DagsterInstance, run_id: str) -> tuple[bool, list[dg.DagsterEvent]]:
    """Whether a run started, and the events that may give the reason of its failure.

    Those of the steps come before that of the run.
    """
    records = instance.get_records_for_run(run_id, of_type={_Event.RUN_START, *_ENDINGS}).records
    events = [event for one in records if (event := one.event_log_entry.dagster_event)]
    endings = [event for event in events if event.event_type in _ENDINGS]
    return len(endings) < len(events), endings


def _failure_metadata(event: dg.DagsterEvent) -> Mapping[str, dg.MetadataValue[Any]]:
    """The metadata of a ``dagster.Failure`` of ours."""
    data = event.step_failure_data.user_failure_data if event.is_step_failure else None
    return data.metadata if data else {}


def _runs_of(integration: str, statuses: Sequence[_Status] = ()) -> dg.RunsFilter:
    return dg.RunsFilter(tags={INTEGRATION_TAG: integration}, statuses=statuses or None)


def first_hour(run: dg.DagsterRun) -> str | None:
    """The partition key of the first hour that a run is to fill; ``None`` where it names none."""
    return run.tags.get(_PARTITION) or run.tags.get(_RANGE[0])


def _partition(run: dg.DagsterRun) -> str | None:
    first, last = (run.tags.get(tag) for tag in _RANGE)
    return run.tags.get(_PARTITION) or (f"{first}...{last}" if first and last else None)


def _moment(timestamp: float | None) -> str | None:
    if timestamp is None:
        return None
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def _number(materialization: dg.AssetMaterialization, name: str) -> int | float:
    found = materialization.metadata.get(name)
    value = found.value if found else None
    return value if isinstance(value, int | float) else 0


def _error_text(event: dg.DagsterEvent) -> str | None:
    """The description of a ``dagster.Failure``, or else the error's message."""
    if event.is_step_failure:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        return _innermost_message(data.error) if data.error else None
    if event.event_type is _Event.RUN_CANCELED:
        return "The run was canceled."
    # A run that Dagster reports as failed from outside has no more than a message.
    details = event.event_specific_data
    error = details.error if isinstance(details, JobFailureData) else None
    return _innermost_message(error) if error else event.message


def _innermost_message(error: SerializableErrorInfo) -> str:
    """The message of the first cause; Dagster's own only says that something went wrong."""
    while error.cause:
        error = error.cause
    if error.cls_name == "DagsterExecutionInterruptedError":
        return "The run was interrupted. What Salesforce acknowledged is stored: run it again."
    return error.message.strip()
