"""``m3sync plan``: what a run would send; it sends nothing and writes nothing."""

from typing import TYPE_CHECKING, Any

from m3sync_dagster.cli.exit_codes import failed
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import EntityBars, Json, print_json, print_table, progress
from m3sync_dagster.cli.run import Entity, Name
from m3sync_dagster.sync.errors import SyncError

if TYPE_CHECKING:
    from m3sync_dagster.cli.find_integration import Found
    from m3sync_dagster.state import SalesforceOrg
    from m3sync_dagster.sync.plan import EntityPlan


def plan(name: Name, *, entity: Entity = None, json: Json = False) -> None:
    """Show what a run would send; send nothing."""
    ready()
    from m3sync_dagster.cli.find_integration import find

    found = find(name, entity)
    found.require_configured()
    try:
        org, plans = _plans(found, [entity] if entity else list(found.integration.mappings))
    except SyncError as error:
        raise failed(error) from None
    if json:
        entities = {key: _told(p) for key, p in plans.items()}
        print_json({"integration": name, "entities": entities, "salesforce_org": org.as_dict()})
    else:
        _show(name, org, plans)


def _plans(found: "Found", entities: list[str]) -> tuple["SalesforceOrg", dict[str, "EntityPlan"]]:
    from m3sync_dagster.cli.salesforce_org import ask_org
    from m3sync_dagster.state import PostgresLedger, connect, postgres_url
    from m3sync_dagster.sync.plan import EntityPlan

    plans = {}
    with (
        found.m3ter().opened() as m3ter,
        found.salesforce().opened() as salesforce,
        connect(postgres_url()) as connection,
        progress() as bars,
    ):
        connection.execute("SET default_transaction_read_only = on")
        org = ask_org(salesforce.org)
        shown = EntityBars(bars)
        for name in entities:
            ledger = PostgresLedger(connection, found.integration.name, name, run_id="")
            plans[name] = EntityPlan(
                found.integration.mappings[name],
                m3ter.organization,
                ledger,
                salesforce.org,
            )
            for read in plans[name].run():
                shown.show(name, f"{read} read")
    return org, plans


def _told(plan: "EntityPlan") -> dict[str, Any]:
    """Its JSON; rows that pause are there only where there are some."""
    counts: dict[str, Any] = {
        str(action): count for action, count in plan.counts.items() if count or action != "paused"
    }
    return counts | {"sample": plan.sample}


def _show(name: str, org: "SalesforceOrg", plans: dict[str, "EntityPlan"]) -> None:
    counts = [[entity, *plan.counts.values()] for entity, plan in plans.items()]
    print_table(
        f"{name}: what a run would do in {org}",
        ["entity", *next(iter(plans.values())).counts],
        counts,
    )
    changes = [
        [entity, sample.m3ter_id, sample.action, field, _short(before), _short(after)]
        for entity, plan in plans.items()
        for sample in plan.sample
        for field, (before, after) in sample.changes.items()
    ]
    if changes:
        columns = ["entity", "m3ter id", "action", "field", "before", "after"]
        print_table("Of the first rows that would be sent", columns, changes)


def _short(value: object) -> str | None:
    if value is None:
        return None
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
