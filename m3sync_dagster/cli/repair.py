"""Verifying an integration in this process, and mending what was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from m3sync_dagster.cli.environment import Environment
from m3sync_dagster.cli.find_integration import Found
from m3sync_dagster.cli.in_process_run import Report, sync
from m3sync_dagster.cli.run import watched
from m3sync_dagster.m3ter import M3terSource
from m3sync_dagster.runs.run_status import COMPLETE
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.state import IntegrationLock, PostgresReconciliation, connect, postgres_url
from m3sync_dagster.sync.deletions import DeletionConsent, Outcome, Removal
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.external_id_repair import restore_external_ids
from m3sync_dagster.sync.reconcile import Example, Reconciler
from m3sync_dagster.sync.reconcile_types import DiffCounts


@dataclass(frozen=True, slots=True)
class Verified:
    """An entity that has been verified.

    Args:
        tally, examples, calls: what was found, and in how many Salesforce API calls.
        comparison: both sides, still beside each other.
    """

    tally: DiffCounts
    examples: list[Example]
    calls: int
    comparison: PostgresReconciliation

    def as_dict(self) -> dict[str, Any]:
        """What was found, as JSON has it."""
        told = asdict(self.tally) | {"salesforce_api_calls": self.calls}
        return told | {"examples": [asdict(example) for example in self.examples]}


@dataclass(frozen=True, slots=True)
class Connections:
    """An integration, with both of its systems open."""

    found: Found
    source: M3terSource
    org: SalesforceClient


@contextmanager
def opened(found: Found) -> Iterator[Connections]:
    """Open m3ter and Salesforce for as long as the block lasts."""
    with found.m3ter().opened() as m3ter, found.salesforce().opened() as salesforce:
        yield Connections(found, m3ter.organization, salesforce.org)


@contextmanager
def verified(
    both: Connections, entity: str, tell: Callable[[str], None] | None
) -> Iterator[Verified]:
    """Verify an entity, and keep what was found for as long as the block lasts.

    Args:
        both: the integration.
        entity: the entity.
        tell: is told how far it is.

    Raises:
        SyncError: a side could not be read to its end.
    """
    integration = both.found.integration
    with connect(postgres_url()) as connection:
        comparison = PostgresReconciliation(connection, integration.name, entity)
        verification = Reconciler(
            integration.mappings[entity],
            both.source,
            both.org,
            comparison,
            integration.entities[entity].gone_field,
        )
        for done in verification.run():
            if tell:
                tell(f"{done.salesforce} read from Salesforce, {done.m3ter} from m3ter")
        yield Verified(verification.counts, verification.examples, verification.calls, comparison)


@dataclass(slots=True)
class RepairReport:
    """What a repair has done.

    Args:
        report: the run that has sent what was missing or changed; ``None`` where nothing was.
        entities: for each entity, how many records were sent, flagged and deleted, how many differ
            still, and how many API calls it took to see that.
        problems: what stood in the way, in words.
    """

    report: Report | None = None
    entities: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing differs any longer, and nothing stood in the way."""
        return not self.problems and not any(counts["left"] for counts in self.entities.values())

    def refusal(self, entity: str, wish: str, outcome: Outcome) -> None:
        """Tell what Salesforce would not do, if there is anything."""
        if outcome.refused:
            self.problems.append(
                f"{entity}: Salesforce did not {wish} {outcome.refused} records. The first: "
                f"{outcome.first_error}"
            )

    def unlisted(self, entity: str, outcome: Outcome) -> None:
        """Tell which records m3ter has although its list lacks them, if there are any."""
        if found := outcome.still_in_m3ter:
            self.problems.append(
                f"{entity}: m3ter's list lacks {len(found)} records that m3ter still has, so "
                f"nothing was done about them. The first: {found[0]}. Run m3sync verify again "
                "later; if the list still lacks them, tell m3ter's support."
            )

    def as_dict(self) -> dict[str, Any]:
        """What was done, as JSON has it."""
        run = self.report.as_dict() if self.report else None
        return {"run": run, "entities": self.entities, "problems": self.problems}


def mend(
    environment: Environment,
    both: Connections,
    entities: dict[str, Verified],
    *,
    entity: str | None,
    agreed: DeletionConsent,
) -> RepairReport:
    """Send what is missing or changed, and do with gone records as ``when_gone`` says.

    Edited external IDs are given back, what is missing or changed is no longer taken for
    acknowledged, and an ordinary sync sends it. Then Salesforce is read once more, for something
    in the org may change what it is sent.

    Args:
        environment: where the workspace is that the sync belongs to.
        both: the integration.
        entities: what was found of each entity.
        entity: this entity alone.
        agreed: what a person has agreed to.

    Raises:
        SyncError: another run writes the integration, or a side cannot be read again.
    """
    mended = RepairReport()
    if any(one.tally.missing or one.tally.changed for one in entities.values()):
        with _locked(both.found):
            for name, one in entities.items():
                mapping = both.found.integration.mappings[name]
                put = restore_external_ids(mapping, both.org, one.comparison)
                mended.refusal(name, "give their external IDs back to", put)
                one.comparison.withdraw_fingerprints()
        with watched():
            mended.report = sync(environment, both.found, entity=entity)
        if mended.report.error:
            mended.problems.append(mended.report.error)
    with _locked(both.found):
        # Children first: Salesforce may refuse to delete a record that others point to.
        removals = {
            name: _remove(both, name, one, mended, agreed)
            for name, one in reversed(entities.items())
        }
    for name, one in entities.items():
        mended.entities[name] = _counts(both, name, one, removals[name], mended.report)
    return mended


def _remove(
    both: Connections, entity: str, one: Verified, mended: RepairReport, agreed: DeletionConsent
) -> Removal:
    options = both.found.integration.entities[entity]
    removal = Removal(
        mapping=both.found.integration.mappings[entity],
        action=options.when_gone,
        gone_field=options.gone_field,
        source=both.source,
        org=both.org,
        records=one.comparison,
        run_id=mended.report.run_id if mended.report else "",
        outcome=Outcome(),
    )
    try:
        removal.run(one.tally, agreed)
    except SyncError as error:
        mended.problems.append(f"{entity}: {error}")
    mended.refusal(entity, removal.action.value, removal.outcome)
    mended.unlisted(entity, removal.outcome)
    return removal


def _counts(
    both: Connections, entity: str, one: Verified, removal: Removal, report: Report | None
) -> dict[str, int]:
    sent, done = one.comparison.count_repaired(), removal.outcome.done
    left, calls = one.tally.missing + one.tally.changed + one.tally.invalid - sent, 0
    if report and report.status == COMPLETE and (one.tally.missing or one.tally.changed):
        with verified(both, entity, None) as again:
            refused = report.entities[entity]["rejected"] + report.entities[entity]["waiting"]
            left = again.tally.drifted + again.tally.invalid + int(refused)
            calls = again.calls
    return {
        "sent": sent,
        "flagged": done * (removal.action is WhenGone.FLAG),
        "deleted": done * (removal.action is WhenGone.DELETE),
        "left": left + one.tally.extra - done,
        "salesforce_api_calls": calls,
    }


@contextmanager
def _locked(found: Found) -> Iterator[None]:
    with (
        connect(postgres_url()) as connection,
        IntegrationLock(connection, found.integration.name),
    ):
        yield
