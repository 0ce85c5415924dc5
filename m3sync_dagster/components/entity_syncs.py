"""Builds the syncs of one run's entities from the run's resources."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import dagster as dg

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.resources import (
    LazyResource,
    M3terResource,
    SalesforceResource,
    StateResource,
)
from m3sync_dagster.components.sync_metadata import SyncedObject
from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.runs.error_observation import show_event
from m3sync_dagster.state import RunState, SentChanges
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.fingerprint_basis_change import apply_basis_change, basis_change_event
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import Rejected
from m3sync_dagster.sync.target_schema import TargetSchema

FULL_TAG = "m3sync/full"
"""Run tag of a full sync, which sends every row, also unchanged ones."""
STATE = "m3sync_state"
"""Key of the resource with m3sync's state in PostgreSQL."""

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext
"""The context of an asset or an asset check."""
_Resource = TypeVar("_Resource", bound=LazyResource)


def resource_of(context: Context, key: str | None, kind: type[_Resource]) -> _Resource:
    """A resource of a run, which has to be of a type.

    Raises:
        ConfigurationError: it is of another type.
    """
    resource = getattr(context.resources, str(key))
    if not isinstance(resource, kind):
        raise ConfigurationError(
            f"the resource {key} is a {type(resource).__name__}, not a {kind.__name__}",
            "Give the integration the name of a credential of the right kind.",
        )
    return resource


class EntitySyncBuilder:
    """Builds the syncs of one run's entities.

    Args:
        context: the run.
        integration: the integration that it syncs.

    Raises:
        SyncError: another run syncs the integration, or a resource cannot be opened.
    """

    def __init__(self, context: dg.AssetExecutionContext, integration: Integration) -> None:
        self._context = context
        self._integration = integration
        self._credential = str(integration.salesforce_credential)
        self.state = resource_of(context, STATE, StateResource).lock_integration(integration.name)
        self._salesforce = resource_of(context, self._credential, SalesforceResource)
        self.org = self._salesforce.org
        m3ter = resource_of(context, integration.m3ter_credential, M3terResource)
        self._source = m3ter.read_ahead
        self._source.expect(self._lists())
        self._histories: dict[str, SentChanges] = {}
        self.full = context.run.tags.get(FULL_TAG) == "true"
        if self.full:
            self.state.withdraw_all(self._selected(), context.run.run_id)

    def prepare(self, entity: EntityType) -> EntitySync:
        """Build an entity's sync, after a check that its stored fingerprints are about this org.

        Raises:
            SyncError: a request to Salesforce failed, or the external ID field has changed and
                the known records cannot get the new one.
        """
        mapping = self._integration.mappings[entity.name]
        ledger = self.state.ledger(entity.name, self._context.run.run_id)
        history = ledger.keep_history(mapping.columns, mapping.masked)
        history.delete_masked()
        self._histories[entity.name] = history
        schema = TargetSchema(mapping, self.org, lambda: self._check_org(entity))
        changed = apply_basis_change(mapping, self._source, ledger, self.org, schema)
        if changed:
            event = basis_change_event(self._credential, *changed)
            record(self._context, self.state, None, event, lasting=True)
        return EntitySync(
            mapping, self._source, ledger, self.org, schema, send_parents=self._send_parents
        )

    def synced_object(self, entity: EntityType, rejected: Sequence[Rejected]) -> SyncedObject:
        """The Salesforce object that an entity was synced to, without a request to Salesforce.

        Args:
            entity: what was synced.
            rejected: the rejects whose Salesforce Ids are wanted.
        """
        mapping = self._integration.mappings[entity.name]
        ledger = self.state.ledger(entity.name, self._context.run.run_id)
        return SyncedObject(
            mapping,
            self.org.links(),
            self.org.cached(mapping.object_name),
            ledger.count_in_salesforce(),
            ledger.salesforce_ids([row.m3ter_id for row in rejected]),
            self._histories[entity.name].sample,
        )

    def _send_parents(self, name: str, ids: Sequence[str]) -> None:
        """Send records of another entity type again that were deleted in Salesforce."""
        if name in self._integration.mappings:
            sync = self.prepare(ENTITIES[name])
            sync.send_only(ids)
            record_replaced(self._context, self.state, ENTITIES[name], sync)

    def _check_org(self, entity: EntityType) -> None:
        """Check the org's objects and fields before a row is sent, and log warnings.

        Raises:
            SchemaMismatchError: an object or field does not match the mapping.
            SyncError: a request to Salesforce failed.
        """
        preflight = self._salesforce.preflight(self._integration.name, self._selected)
        for warning in preflight.require(entity.name):
            self._context.log.warning("%s: %s", warning.entity, warning)

    def _lists(self) -> Iterator[tuple[EntityType, list[str] | None]]:
        """The lists to read ahead; a run that repeats a failed one has only some steps.

        Records that depend on their parents' status are listed after their parents.
        """
        steps = self._context.run.step_keys_to_execute
        for name, mapping in self._selected().items():
            key = dg.AssetKey([self._integration.name, f"salesforce_{name}"])
            runs = not steps or key.to_python_identifier() in steps
            if runs and mapping.scoped_by is None:
                yield mapping.entity, mapping.scope.fetchable()

    def _selected(self) -> dict[str, FieldMapping]:
        """The mappings of the entities that the run selects."""
        selected = {tuple(key.path) for key in self._context.run.asset_selection or ()}
        name = self._integration.name
        return {
            entity: mapping
            for entity, mapping in self._integration.mappings.items()
            if not selected or (name, f"salesforce_{entity}") in selected
        }


def record_replaced(
    context: dg.AssetExecutionContext, state: RunState, entity: EntityType, sync: EntitySync
) -> None:
    """Record an event that names the records that were deleted in Salesforce."""
    if not sync.replaced:
        return
    names = ", ".join(sync.replaced_names)
    more = f" and {sync.replaced - len(sync.replaced_names)} more"
    cause = (
        f"{sync.replaced} {entity.name} records were no longer in Salesforce, and are created "
        f"again: {names}{more if sync.replaced > len(sync.replaced_names) else ''}"
    )
    remedy = (
        "Nothing to do: the records that pointed to them are sent again too. See in Salesforce who "
        "deleted them; what m3sync does not write, such as notes, is not restored."
    )
    record(context, state, entity, SyncError(cause, remedy), lasting=True)


def record(
    context: dg.AssetExecutionContext,
    state: RunState,
    entity: EntityType | None,
    error: SyncError,
    *,
    lasting: bool = False,
) -> None:
    """Record an event of an entity, or of the whole integration if there is none.

    A ``lasting`` one is about the past, so that no later success closes it.
    """
    state.event(entity.name if entity else None, context.run.run_id, error, lasting=lasting)
    context.log.warning("%s: %s", state.integration, error)
    if entity:
        show_event(context, dg.AssetKey([state.integration, f"salesforce_{entity.name}"]), error)
