"""Runs in Dagster's storage, as its daemon, its UI, our command and our code record them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason, StepMaterializationData
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from m3sync_dagster.runs.failure_tags import record_failure
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    DeadlineError,
    IntegrationLockedError,
    RateLimitError,
    RemoteError,
)
from m3sync_dagster_tests.guard.fixtures import JOB, LOCATION, Status, asset
from m3sync_dagster_tests.guard.model.runs import End, Error, Kind, Launcher, Outcome, Run

ERRORS = {
    Error.REMOTE: RemoteError("Salesforce is down", "Wait."),
    Error.REFUSED_KEY: AuthenticationError("the key is refused", "Correct it."),
    Error.QUOTA: RateLimitError("the quota is used up", "Wait."),
    Error.TIMEOUT: DeadlineError("the job hangs", "Abort it."),
    Error.SLOW: DeadlineError("the job is slow", "Wait.", advanced=True),
    Error.OTHER_WRITER: IntegrationLockedError("another run is writing", "Wait."),
}
_EVENTS = {
    End.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    End.ERRORS: dg.DagsterEventType.RUN_FAILURE,
    End.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


@dataclass
class Stored:
    """A run in Dagster's storage, and the same run of each integration in the reference."""

    id: str
    launcher: Launcher
    runs: Mapping[str, Run]


@dataclass
class RunRecorder:
    """Records runs in an instance."""

    instance: dg.DagsterInstance

    def create(
        self, selected: Mapping[str, Iterable[str]], tags: dict[str, str], again: Stored | None
    ) -> dg.DagsterRun:
        root = self.instance.get_run_by_id(again.id) if again else None
        if root:
            # Dagster copies the tags, also ours, but not why it ended the run.
            tags = {key: value for key, value in root.tags.items() if "failure_reason" not in key}
        keys = [asset(name, entity) for name, chosen in selected.items() for entity in chosen]
        run: dg.DagsterRun = create_run_for_test(
            self.instance,
            job_name=JOB,
            status=Status.STARTING,
            tags=tags,
            asset_selection=frozenset(keys),
            root_run_id=(root.root_run_id or root.run_id) if root else None,
            parent_run_id=root.run_id if root else None,
            remote_job_origin=RemoteRepositoryOrigin(LOCATION, "__repository__").get_job_origin(
                JOB
            ),
        )
        return run

    def end(self, stored: Stored, outcome: Outcome) -> None:
        """Let a run end."""
        run = self.instance.get_run_by_id(stored.id)
        assert run
        if outcome.end is End.NOT_STARTED:
            why = JobFailureData(error=None, failure_reason=RunFailureReason.START_TIMEOUT)
            self.instance.report_run_failed(run, "Run timed out.", why)
            return
        self._event(stored, dg.DagsterEventType.RUN_START)
        if outcome.end is End.KILLED:
            self.instance.report_run_failed(run, "The run's process is gone.")
            return
        if stored.launcher is Launcher.UI:
            for name in stored.runs:
                self.instance.add_run_tags(stored.id, {INTEGRATION_TAG: name})
        for entity, error in outcome.errors.items():
            for name in stored.runs:
                record_failure(self.instance, stored.id, ERRORS[error], f"{name}/{entity}")
        if outcome.end is End.SUCCESS and len(stored.runs) > 1:
            self._materialize(stored)
        self._event(stored, _EVENTS[outcome.end])

    def _materialize(self, stored: Stored) -> None:
        for name, run in stored.runs.items():
            for entity in run.entities:
                made = dg.AssetMaterialization(asset(name, entity))
                event = dg.DagsterEvent(
                    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                    JOB,
                    event_specific_data=StepMaterializationData(made),
                )
                self.instance.report_dagster_event(event, stored.id)

    def _event(self, stored: Stored, kind: dg.DagsterEventType) -> None:
        event = dg.DagsterEvent(kind.value, JOB)
        self.instance.run_storage.handle_run_event(stored.id, event)


def tags_of(kind: Kind) -> Mapping[str, str]:
    hours = {
        "dagster/asset_partition_range_start": "2026-11-24-10:00",
        "dagster/asset_partition_range_end": "2026-11-24-12:00",
    }
    schedule = {"dagster/schedule_name": "hourly"}
    return {
        Kind.HOUR: {"dagster/partition": "2026-11-24-10:00", **schedule},
        Kind.CATCH_UP: {**hours, **schedule},
        Kind.HOUR_BY_HAND: {"dagster/partition": "2026-11-24-10:00"},
        Kind.RANGE_BY_HAND: hours,
        Kind.BACKFILL: {**hours, "dagster/backfill": "abcdefgh"},
    }[kind]
