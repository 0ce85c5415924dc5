"""Repairs the differences that a verification found, in a fixed order.

1. Edited external IDs are restored and the fingerprints of missing or changed records withdrawn,
   both under the integration's lock.
2. An ordinary sync sends these records.
3. Records that m3ter no longer has are flagged or deleted, as ``when_gone`` says, under the lock.
4. Salesforce is read once more, because automation in the org may change what it receives.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from m3sync_dagster.components.verify_entity import Connections, VerifiedEntity, verify_entity
from m3sync_dagster.runs.run_status import COMPLETE
from m3sync_dagster.state import IntegrationLock, connect, postgres_url
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.external_id_repair import restore_external_ids
from m3sync_dagster.sync.flag_or_delete import DeletionConsent, Outcome, Removal


class SyncReport(Protocol):
    """The result of a sync run."""

    @property
    def run_id(self) -> str:
        """Dagster's id of the run."""
        ...

    @property
    def status(self) -> str:
        """m3ter's status word."""
        ...

    @property
    def entities(self) -> Mapping[str, Mapping[str, int | float]]:
        """Counts by entity."""
        ...

    @property
    def error(self) -> str | None:
        """Why the run failed."""
        ...

    def as_dict(self) -> Mapping[str, object]:
        """The result as JSON has it."""
        ...


@dataclass(slots=True)
class RepairReport:
    """The result of a repair.

    Args:
        run: the sync that sent missing and changed records; ``None`` where there were none.
        entities: for each entity, how many records were sent, flagged and deleted, how many still
            differ, and how many API calls the last comparison took.
        problems: messages about what could not be repaired.
    """

    run: SyncReport | None = None
    entities: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing differs any longer and there was no problem."""
        return not self.problems and not any(counts["left"] for counts in self.entities.values())

    def add_refused(self, entity: str, action: str, outcome: Outcome) -> None:
        """Add a problem if Salesforce refused records."""
        if outcome.refused:
            self.problems.append(
                f"{entity}: Salesforce did not {action} {outcome.refused} records. The first: "
                f"{outcome.first_error}"
            )

    def add_unlisted(self, entity: str, outcome: Outcome) -> None:
        """Add a problem if m3ter still has records that its list lacks."""
        if ids := outcome.still_in_m3ter:
            self.problems.append(
                f"{entity}: m3ter's list lacks {len(ids)} records that m3ter still has, so "
                f"nothing was done about them. The first: {ids[0]}. Run m3sync verify again "
                "later; if the list still lacks them, report it to m3ter's support."
            )

    def as_dict(self) -> dict[str, object]:
        """The result as JSON has it."""
        run = self.run.as_dict() if self.run else None
        return {"run": run, "entities": self.entities, "problems": self.problems}


@dataclass(frozen=True, slots=True)
class IntegrationRepair:
    """The repair of an integration.

    Args:
        connections: the integration and its systems.
        verified: each entity's verification, parents before their children.
        sync: makes an ordinary sync run of these entities.
        consent: which deletions the user accepted.
        report: filled by ``run``.
    """

    connections: Connections
    verified: dict[str, VerifiedEntity]
    sync: Callable[[], SyncReport]
    consent: DeletionConsent
    report: RepairReport = field(default_factory=RepairReport)

    def run(self) -> RepairReport:
        """Repair.

        Raises:
            SyncError: another run has the integration's lock, or a system cannot be read again.
        """
        if any(_differs(entity) for entity in self.verified.values()):
            with self._locked():
                self._prepare_sync()
            self._sync()
        with self._locked():
            # Children first: Salesforce may refuse to delete a record that others point to.
            removals = {name: self._remove(name) for name in reversed(self.verified)}
        for name in self.verified:
            self.report.entities[name] = self._counts(name, removals[name])
        return self.report

    def _prepare_sync(self) -> None:
        for name, entity in self.verified.items():
            mapping = self.connections.integration.mappings[name]
            restored = restore_external_ids(mapping, self.connections.org, entity.comparison)
            self.report.add_refused(name, "restore the external IDs of", restored)
            entity.comparison.withdraw_fingerprints()

    def _sync(self) -> None:
        self.report.run = self.sync()
        if self.report.run.error:
            self.report.problems.append(self.report.run.error)

    def _remove(self, name: str) -> Removal:
        options = self.connections.integration.entities[name]
        removal = Removal(
            mapping=self.connections.integration.mappings[name],
            action=options.when_gone,
            gone_field=options.gone_field,
            source=self.connections.source,
            org=self.connections.org,
            records=self.verified[name].comparison,
            run_id=self.report.run.run_id if self.report.run else "",
            outcome=Outcome(),
        )
        try:
            removal.run(self.verified[name].counts, self.consent)
        except SyncError as error:
            self.report.problems.append(f"{name}: {error}")
        self.report.add_refused(name, removal.action.value, removal.outcome)
        self.report.add_unlisted(name, removal.outcome)
        return removal

    def _counts(self, name: str, removal: Removal) -> dict[str, int]:
        entity, removed = self.verified[name], removal.outcome.done
        sent = entity.comparison.count_repaired()
        left, calls = self._left(name, sent)
        return {
            "sent": sent,
            "flagged": removed * (removal.action is WhenGone.FLAG),
            "deleted": removed * (removal.action is WhenGone.DELETE),
            "left": left + entity.counts.extra - removed,
            "salesforce_api_calls": calls,
        }

    def _left(self, name: str, sent: int) -> tuple[int, int]:
        """How many records of m3ter still differ, and how many API calls it took to count them."""
        before, run = self.verified[name].counts, self.report.run
        if not run or run.status != COMPLETE or not _differs(self.verified[name]):
            return before.missing + before.changed + before.invalid - sent, 0
        with verify_entity(self.connections, name) as again:
            refused = run.entities[name]["rejected"] + run.entities[name]["waiting"]
            return again.counts.drifted + again.counts.invalid + int(refused), again.calls

    @contextmanager
    def _locked(self) -> Iterator[None]:
        name = self.connections.integration.name
        with connect(postgres_url()) as connection, IntegrationLock(connection, name):
            yield


def _differs(entity: VerifiedEntity) -> bool:
    return bool(entity.counts.missing or entity.counts.changed)
