"""An integration's assets: one for each entity type, with its m3ter source in the lineage."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache

import dagster as dg

from m3sync_dagster.components.entity_syncs import STATE
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.materialize import NO_REJECTED_RECORDS, materialize_entity
from m3sync_dagster.components.schedule import build_schedule
from m3sync_dagster.components.sync_report import source_key
from m3sync_dagster.components.verify_check import build_check
from m3sync_dagster.entities import ENTITIES, EntityType

FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=2), fail_window=timedelta(hours=3)
)
"""When Dagster's UI shows an asset as late: an integration runs each hour."""
_OUTPUT = "result"
# The data of an op goes to Salesforce, not through Dagster.
_IN = dg.In(dg.Nothing)
_OUT = dg.Out(dg.Nothing)


def source_specs(m3ter_credential: str) -> list[dg.AssetSpec]:
    """An m3ter organization's records, as the external assets at the start of the lineage."""
    return [
        dg.AssetSpec(
            source_key(m3ter_credential, entity),
            description=f"The {entity.label} records of the m3ter organization that the "
            f"credential `{m3ter_credential}` reads.",
            group_name=m3ter_credential,
            kinds={"m3ter"},
        )
        for entity in ENTITIES.values()
    ]


def build_integration_definitions(integration: Integration) -> dg.Definitions:
    """Build an integration's assets and its schedule."""
    partitions = _hours_since(integration.start)
    assets = [
        _entity_asset(integration, ENTITIES[name], partitions)
        for name in ENTITIES
        if name in integration.entities
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=[_check(integration)],
        schedules=[build_schedule(integration, partitions, [asset.key for asset in assets])],
    )


@cache
def _hours_since(start: str) -> dg.HourlyPartitionsDefinition:
    return dg.HourlyPartitionsDefinition(start_date=start, timezone="UTC")


def _check(integration: Integration) -> dg.AssetChecksDefinition:
    keys = {name: asset_key(integration.name, name) for name in integration.entities}
    return build_check(integration, keys, _resource_keys(integration))


def asset_key(integration: str, entity: str) -> dg.AssetKey:
    """The asset of an integration's entity. The UI labels a node with the last part only."""
    return dg.AssetKey([integration, f"salesforce_{entity}"])


def _entity_asset(
    integration: Integration, entity: EntityType, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """Build an asset from the parts that ``@dg.asset`` derives from a function's signature.

    This takes a third of the decorator's time, which matters with many integrations.
    """
    spec = _spec(integration, entity, partitions)
    check = dg.AssetCheckSpec(
        NO_REJECTED_RECORDS,
        asset=spec.key,
        description="No record is invalid, rejected by Salesforce, or waiting for another record.",
    )
    checks = {check.get_python_identifier(): check}
    inputs = {dep.asset_key.to_python_identifier(): dep.asset_key for dep in spec.deps}

    def salesforce_entity(
        context: dg.AssetExecutionContext, _inputs: object
    ) -> Iterator[dg.MaterializeResult[None]]:
        yield materialize_entity(context, integration, entity)

    return dg.AssetsDefinition(
        specs=[spec],
        keys_by_input_name=inputs,
        keys_by_output_name={_OUTPUT: spec.key},
        check_specs_by_output_name=checks,
        backfill_policy=dg.BackfillPolicy.single_run(),
        node_def=dg.OpDefinition(
            salesforce_entity,
            name=spec.key.to_python_identifier(),
            description=spec.description,
            ins=dict.fromkeys(inputs, _IN),
            outs=dict.fromkeys((_OUTPUT, *checks), _OUT),
            required_resource_keys=_resource_keys(integration),
            # One run of an integration at a time, also of those launched by hand, without tags.
            pool=integration.name,
        ),
    )


def _spec(
    integration: Integration, entity: EntityType, partitions: dg.PartitionsDefinition
) -> dg.AssetSpec:
    parents = sorted(entity.parents & integration.entities.keys())
    return dg.AssetSpec(
        asset_key(integration.name, entity.name),
        deps=[
            source_key(integration.m3ter_credential, entity),
            *(asset_key(integration.name, parent) for parent in parents),
        ],
        partitions_def=partitions,
        freshness_policy=FRESHNESS,
        group_name=integration.name,
        description=_description(integration, entity),
        kinds={"m3ter", "salesforce"},
        tags=_tags(integration, entity),
        metadata=_metadata(integration, entity),
    )


def _resource_keys(integration: Integration) -> set[str]:
    if integration.salesforce_credential is None:
        return {STATE}
    return {STATE, integration.m3ter_credential, integration.salesforce_credential}


def _description(integration: Integration, entity: EntityType) -> str:
    records = f"m3ter's {entity.label} records as Salesforce records"
    # Lists show only the first words, and no Markdown.
    state = (
        f"{records}, through the credential `{integration.salesforce_credential}`."
        if integration.connected
        else f"NOT CONNECTED: run `m3sync connect {integration.name} CREDENTIAL`. {records}."
    )
    return (
        f"{state}\n\nA partition means that this hour's sync has succeeded. A sync always sends "
        "m3ter's current records, so one run can cover many hours."
    )


def _tags(integration: Integration, entity: EntityType) -> Mapping[str, str]:
    return {"m3sync/integration": integration.name, "m3sync/entity": entity.name}


def _metadata(integration: Integration, entity: EntityType) -> Mapping[str, object]:
    options = integration.entities[entity.name]
    return {
        "salesforce_object": options.object or f"{entity.object} ({integration.namespace})",
        "m3ter_endpoint": f"GET /organizations/{{orgId}}/{entity.path}",
    }
