"""``m3sync plan``: shows what a run would send; sends and writes nothing."""

import sys
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    Linked,
    print_json,
    print_message,
    print_table,
    progress,
    shorten,
)
from m3sync_dagster.cli.run import Name
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.components.loaded_integration import LoadedIntegration
    from m3sync_dagster.salesforce import OrgLinks
    from m3sync_dagster.state import SalesforceOrg
    from m3sync_dagster.sync.plan import EntityPlan
    from m3sync_dagster.sync.plan import Sample as PlannedRow

FEW = 5
"""Rows of an entity that the table shows."""
NAMED = 5
"""Changed fields of a row that the table names."""

Record = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only the record with this m3ter id.", show_default=False),
]
Sample = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Rows of each entity that are shown.", show_default=False
    ),
]
Fields = Annotated[bool, typer.Option("--fields", help="Show the values of each changed field.")]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be planned: the entities, one record or all, and how many are compared."""

    entities: list[str]
    record: str | None
    most: int


def plan(  # noqa: PLR0913 - the options that people ask for
    name: Name,
    *,
    entity: Entity = None,
    record: Record = None,
    sample: Sample = None,
    fields: Fields = False,
    json: Json = False,
) -> None:
    """Show what a run would send; sends nothing."""
    ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.sync.plan import SAMPLE

    loaded = find(name, entity)
    loaded.require_configured()
    entities = [entity] if entity else list(loaded.integration.mappings)
    most = sample if sample is not None else SAMPLE if json else FEW
    org, links, plans = _plans(loaded, _Wanted(entities, record, most))
    if record is not None:
        plans = _of_record(record, name, plans)
    if json:
        found = {key: _as_dict(p, links) for key, p in plans.items()}
        print_json({"integration": name, "entities": found, "salesforce_org": org.as_dict()})
    else:
        title = f"{name}: what a run would do in {org}"
        _show(title, plans, links, fields=fields or record is not None)


def _of_record(record: str, name: str, plans: "dict[str, EntityPlan]") -> "dict[str, EntityPlan]":
    """The plan of the entity that has a record of this id.

    Raises:
        ConfigurationError: there is none.
    """
    found = {key: one for key, one in plans.items() if any(one.counts.values())}
    if not found:
        raise ConfigurationError(
            f"m3ter has no record {record} that {name} carries",
            "Check the id, --entity, and the account lists and account_filter of the integration.",
        )
    return found


def _plans(
    loaded: "LoadedIntegration", wanted: _Wanted
) -> tuple["SalesforceOrg", "OrgLinks", dict[str, "EntityPlan"]]:
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
        mappings = {name: loaded.integration.mappings[name] for name in wanted.entities}
        preflight = Preflight(mappings, salesforce.org)
        for name, mapping in mappings.items():
            ledger = PostgresLedger(connection, loaded.integration.name, name, run_id="")
            plans[name] = EntityPlan(
                mapping,
                m3ter.organization,
                ledger,
                salesforce.org,
                partial(preflight.require, name),
                wanted.record,
                wanted.most,
            )
            for read in plans[name].run():
                shown.show(name, f"{read} read")
        return org, salesforce.org.links(), plans


def _as_dict(plan: "EntityPlan", links: "OrgLinks") -> dict[str, object]:
    """The plan as JSON has it; ``paused`` and ``waiting`` are left out if they are zero."""
    counts = {
        str(action): count
        for action, count in plan.counts.items()
        if count or action not in {"paused", "waiting"}
    }
    rows = [asdict(one) | {"salesforce_url": _link(plan, one, links)} for one in plan.sample]
    linked = {"links": plan.links.as_dict()} if plan.mapping.link else {}
    return {**counts, **linked, "sample": rows}


def _link(plan: "EntityPlan", row: "PlannedRow", links: "OrgLinks") -> str | None:
    """The page of a row's record, if it is in Salesforce."""
    return row.salesforce_id and links.record(plan.mapping.object_name, row.salesforce_id)


def _show(title: str, plans: dict[str, "EntityPlan"], links: "OrgLinks", *, fields: bool) -> None:
    actions = [
        action
        for action in next(iter(plans.values())).counts
        if action != "waiting" or any(plan.counts[action] for plan in plans.values())
    ]
    counts = [[entity, *(plan.counts[a] for a in actions)] for entity, plan in plans.items()]
    print_table(title, ["entity", *actions], counts)
    _show_links(plans)
    samples = [
        (entity, Linked(one.m3ter_id, _link(plan, one, links)), one)
        for entity, plan in plans.items()
        for one in plan.sample
    ]
    if not samples:
        return
    sys.stdout.write("\n")
    if fields:
        columns = ["entity", "m3ter id", "action", "field", "before", "after"]
        rows = [
            [entity, m3ter_id, action, field, shorten(before), shorten(after)]
            for entity, m3ter_id, one in samples
            for action, changes in ((one.action, one.changes), ("keep", one.kept))
            for field, (before, after) in changes.items()
        ]
    else:
        columns = ["entity", "m3ter id", "action", "fields that change"]
        rows = [[entity, m3ter_id, one.action, _changed(one)] for entity, m3ter_id, one in samples]
    print_table("The first rows that would be sent", columns, rows)
    if not fields:
        print_message("Their values: --fields. More of them: --sample N. One record: --record ID.")


def _show_links(plans: dict[str, "EntityPlan"]) -> None:
    for entity, plan in plans.items():
        if plan.mapping.link:
            sys.stdout.write("\n")
            counts = plan.links.as_dict()
            title = f"Links to {plan.mapping.link.object}"
            print_table(title, ["entity", *counts], [[entity, *counts.values()]])


def _changed(sample: "PlannedRow") -> str:
    """The fields that change, the first of them by name."""
    names = list(sample.changes)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    kept = f"; kept: {', '.join(sample.kept)}" if sample.kept else ""
    return f"{', '.join(names[:NAMED])}{more}{kept}"
