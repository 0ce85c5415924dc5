"""``m3sync plan``: shows what a run would send; sends and writes nothing."""

from functools import partial
from typing import TYPE_CHECKING

from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    print_json,
    print_table,
    progress,
    shorten,
)
from m3sync_dagster.cli.run import Name

if TYPE_CHECKING:
    from m3sync_dagster.components.loaded_integration import LoadedIntegration
    from m3sync_dagster.state import SalesforceOrg
    from m3sync_dagster.sync.plan import EntityPlan


def plan(name: Name, *, entity: Entity = None, json: Json = False) -> None:
    """Show what a run would send; sends nothing."""
    ready()
    from m3sync_dagster.cli.find_integration import find

    loaded = find(name, entity)
    loaded.require_configured()
    org, plans = _plans(loaded, [entity] if entity else list(loaded.integration.mappings))
    if json:
        entities = {key: _as_dict(p) for key, p in plans.items()}
        print_json({"integration": name, "entities": entities, "salesforce_org": org.as_dict()})
    else:
        _show(name, org, plans)


def _plans(
    loaded: "LoadedIntegration", entities: list[str]
) -> tuple["SalesforceOrg", dict[str, "EntityPlan"]]:
    from m3sync_dagster.components.org_name_and_kind import read_org_name_and_kind
    from m3sync_dagster.state import PostgresLedger, connect, postgres_url
    from m3sync_dagster.sync.plan import EntityPlan
    from m3sync_dagster.sync.preflight_schema import Preflight

    plans = {}
    with (
        loaded.m3ter().opened() as m3ter,
        loaded.salesforce().opened() as salesforce,
        connect(postgres_url()) as connection,
        progress() as bars,
    ):
        connection.execute("SET default_transaction_read_only = on")
        org = read_org_name_and_kind(salesforce.org)
        shown = EntityBars(bars)
        mappings = {name: loaded.integration.mappings[name] for name in entities}
        preflight = Preflight(mappings, salesforce.org)
        for name, mapping in mappings.items():
            ledger = PostgresLedger(connection, loaded.integration.name, name, run_id="")
            plans[name] = EntityPlan(
                mapping,
                m3ter.organization,
                ledger,
                salesforce.org,
                partial(preflight.require, name),
            )
            for read in plans[name].run():
                shown.show(name, f"{read} read")
    return org, plans


def _as_dict(plan: "EntityPlan") -> dict[str, object]:
    """The plan as JSON has it; ``paused`` is left out if it is zero."""
    counts = {
        str(action): count for action, count in plan.counts.items() if count or action != "paused"
    }
    return {**counts, "sample": plan.sample}


def _show(name: str, org: "SalesforceOrg", plans: dict[str, "EntityPlan"]) -> None:
    counts = [[entity, *plan.counts.values()] for entity, plan in plans.items()]
    print_table(
        f"{name}: what a run would do in {org}",
        ["entity", *next(iter(plans.values())).counts],
        counts,
    )
    changes = [
        [entity, sample.m3ter_id, sample.action, field, shorten(before), shorten(after)]
        for entity, plan in plans.items()
        for sample in plan.sample
        for field, (before, after) in sample.changes.items()
    ]
    if changes:
        columns = ["entity", "m3ter id", "action", "field", "before", "after"]
        print_table("The first rows that would be sent", columns, changes)
