"""Verifies one entity of an integration: reads both systems and compares them in PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.m3ter import M3terSource
from m3sync_dagster.salesforce import OrgLinks, SalesforceClient
from m3sync_dagster.state import PostgresReconciliation, connect, postgres_url
from m3sync_dagster.sync.reconcile import Example, Reconciler
from m3sync_dagster.sync.reconcile_types import DiffCounts


@dataclass(frozen=True, slots=True)
class Connections:
    """An integration with the clients of its two systems."""

    integration: Integration
    source: M3terSource
    org: SalesforceClient


@dataclass(frozen=True, slots=True)
class VerifiedEntity:
    """The result of an entity's verification.

    Args:
        counts: how many records are equal, missing, changed and so on.
        examples: the first records that differ.
        encrypted: encrypted fields of those examples, which this user may not be able to read.
        calls: how many Salesforce API calls it took.
        object_name: API name of the Salesforce object.
        links: the org's pages.
        comparison: both sides in PostgreSQL, until the connection is closed.
    """

    counts: DiffCounts
    examples: list[Example]
    encrypted: list[str]
    calls: int
    object_name: str
    links: OrgLinks
    comparison: PostgresReconciliation

    def link(self, example: Example) -> str | None:
        """The page of a record that differs, if it is in Salesforce."""
        if example.salesforce_id is None:
            return None
        return self.links.record(self.object_name, example.salesforce_id)

    def as_dict(self) -> dict[str, object]:
        """The result as JSON has it."""
        counts = asdict(self.counts) | {"salesforce_api_calls": self.calls}
        if self.encrypted:
            counts["encrypted"] = self.encrypted
        return counts | {
            "examples": [asdict(one) | {"salesforce_url": self.link(one)} for one in self.examples]
        }


@contextmanager
def verify_entity(
    connections: Connections, entity: str, report: Callable[[str], None] | None = None
) -> Iterator[VerifiedEntity]:
    """Verify an entity, and keep the comparison for as long as the block lasts.

    Args:
        connections: the integration and its systems.
        entity: the entity.
        report: is called with a text about the progress.

    Raises:
        SyncError: one system could not be read completely.
    """
    integration = connections.integration
    with connect(postgres_url()) as connection:
        comparison = PostgresReconciliation(connection, integration.name, entity)
        mapping = integration.mappings[entity]
        reconciler = Reconciler(
            mapping,
            connections.source,
            connections.org,
            comparison,
            integration.entities[entity].gone_field,
        )
        for progress in reconciler.run():
            if report:
                report(f"{progress.salesforce} read from Salesforce, {progress.m3ter} from m3ter")
        yield VerifiedEntity(
            reconciler.counts,
            reconciler.examples,
            reconciler.encrypted,
            reconciler.calls,
            mapping.object_name,
            connections.org.links(),
            comparison,
        )
