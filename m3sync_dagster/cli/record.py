"""``m3sync record``: shows one record in m3ter, in Salesforce, and what was sent for it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import EntityName
from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    Json,
    Linked,
    print_json,
    print_message,
    print_table,
    shorten,
)
from m3sync_dagster.cli.run import Name
from m3sync_dagster.cli.time_arguments import time_text

if TYPE_CHECKING:
    from m3sync_dagster.components.loaded_integration import LoadedIntegration
    from m3sync_dagster.components.record_lookup import RecordLookup
    from m3sync_dagster.state import SentChange

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="m3ter's id, the record's code in m3ter, or its Salesforce Id.",
        show_default=False,
    ),
]


def record(name: Name, entity: EntityName, record_id: Id, *, json: Json = False) -> None:
    """Show one record in both systems, and what was sent for it when."""
    environment = ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.webserver_address import link_address
    from m3sync_dagster.components.record_explanation import explain

    loaded = find(name, entity)
    loaded.require_configured()
    found = _look_up(loaded, entity, record_id)
    cause, remedy = explain(found, name)
    webserver = link_address(environment)
    if json:
        about = {"integration": name, "entity": entity, "m3ter_id": found.m3ter_id}
        state = {"state": found.compared.state, "message": cause, "remedy": remedy}
        print_json(about | state | _as_dict(found, webserver))
    else:
        _show(f"{name}: {entity} {found.m3ter_id}", found, cause, webserver)
        print_message(remedy)
    if not found.matches:
        raise typer.Exit(FAILED)


def _look_up(loaded: "LoadedIntegration", entity: str, record_id: str) -> "RecordLookup":
    from m3sync_dagster.cli.verify import connected
    from m3sync_dagster.components.record_lookup import look_up_record
    from m3sync_dagster.state import connect, postgres_url

    with connected(loaded) as connections, connect(postgres_url()) as connection:
        connection.execute("SET default_transaction_read_only = on")
        return look_up_record(connections, connection, entity, record_id)


def _as_dict(found: "RecordLookup", webserver: str) -> dict[str, object]:
    """The record as JSON has it; a system that does not have it is ``null``."""
    from m3sync_dagster.cli.rejects import as_dict

    fields, candidate = found.compared.fields, found.compared.candidate
    salesforce = {
        "salesforce_id": found.salesforce_id,
        "salesforce_url": found.salesforce_url,
        "values": {one.field: one.salesforce for one in fields},
    }
    m3ter = {
        "values": {one.field: one.m3ter for one in fields} if candidate and candidate.row else None,
        "fields": {one.field: one.source for one in fields},
    }
    reject = found.stored.reject
    return {
        "m3ter": m3ter if found.compared.in_m3ter else None,
        "salesforce": salesforce if found.salesforce_id else None,
        "differences": {one.field: [one.m3ter, one.salesforce] for one in fields if one.differs},
        "acknowledged": _acknowledged(found, webserver),
        "reject": as_dict(reject) if reject else None,
        "removed": _removed(found, webserver),
        "salesforce_org": found.org.as_dict(),
        "history": [_sent(one, webserver) for one in found.stored.history],
    }


def _acknowledged(found: "RecordLookup", webserver: str) -> dict[str, object] | None:
    """The last acknowledged row; ``current``: it has the values that m3ter has now."""
    from m3sync_dagster.runs.dagster_links import run_link

    if (synced := found.stored.synced) is None:
        return None
    return {
        "time": synced.synced_at,
        "run_id": synced.run_id,
        "run_url": run_link(synced.run_id, webserver),
        "salesforce_id": synced.salesforce_id,
        "current": found.acknowledged,
    }


def _removed(found: "RecordLookup", webserver: str) -> dict[str, object] | None:
    """How the record was flagged or deleted in Salesforce."""
    from m3sync_dagster.runs.dagster_links import run_link

    if (removed := found.removed) is None:
        return None
    return {
        "action": removed.action,
        "time": removed.removed_at,
        "run_id": removed.run_id,
        "run_url": run_link(removed.run_id, webserver),
        "salesforce_id": removed.salesforce_id,
    }


def _sent(sent: "SentChange", webserver: str) -> dict[str, object]:
    """A row that was sent; ``changes`` is ``null`` where its values are not stored."""
    return {
        "time": sent.time,
        "action": sent.action,
        "accepted": sent.accepted,
        "code": None if sent.accepted else sent.answer,
        "salesforce_id": sent.salesforce_id,
        "run_id": sent.run_id or None,
        "run_url": _link(sent, webserver),
        "changes": sent.changes,
        "masked": sent.masked or [],
    }


def _link(sent: "SentChange", webserver: str) -> str | None:
    from m3sync_dagster.runs.dagster_links import run_link

    return run_link(sent.run_id, webserver) if sent.run_id else None


def _show(title: str, found: "RecordLookup", cause: str, webserver: str) -> None:
    print_table(title, ["", "value"], [["state", cause], *_summary(found, webserver)])
    rows = [
        [one.field, shorten(one.m3ter), shorten(one.salesforce), "yes" if one.differs else None]
        for one in sorted(found.compared.fields, key=lambda one: not one.differs)
        if (one.m3ter, one.salesforce) != (None, None)
    ]
    if rows:
        print_table("Its fields", ["field", "m3ter", "Salesforce", "differs"], rows)
    history = [_history_row(one, webserver) for one in found.stored.history]
    if history:
        print_table("What was sent", ["time", "action", "answer", "changes", "run"], history)


def _history_row(sent: "SentChange", webserver: str) -> list[object]:
    link = _link(sent, webserver)
    run = Linked(link, link) if link else None
    return [time_text(sent.time), sent.action, sent.answer, _changes_text(sent), run]


def _changes_text(sent: "SentChange") -> str:
    """Each changed field with its values; a value before that is not known is said to be so."""
    if sent.changes is None:
        return "values not stored"
    texts = []
    for name, values in sent.changes.items():
        before = _value_text(values["before"]) if "before" in values else "(not known)"
        texts.append(f"{name}: {before} -> {_value_text(values['after'])}")
    texts += [f"{name}: masked" for name in sent.masked or ()]
    return "; ".join(texts) or "no field has changed"


def _value_text(value: object) -> str:
    return "(empty)" if value is None else shorten(value) or "(empty)"


def _summary(found: "RecordLookup", webserver: str) -> list[list[object]]:
    """What is known of the record apart from its fields."""
    url, stored = found.salesforce_url, found.stored
    rows: list[list[object]] = [
        ["in m3ter", "yes" if found.compared.in_m3ter else "no"],
        ["in Salesforce", Linked(url, url) if url else "no"],
        ["org", str(found.org)],
    ]
    if one := stored.synced:
        rows += _by_run("acknowledged", one.synced_at, one.run_id, webserver)
    if removed := found.removed:
        verb = "deleted" if removed.action == "delete" else "marked as deleted"
        rows += _by_run(verb, removed.removed_at, removed.run_id, webserver)
    if reject := stored.reject:
        attempts = f"{reject.attempts} attempts, last {time_text(reject.last_seen)}"
        rows.append([reject.error_class, f"{reject.code} ({attempts}): {reject.message}"])
    return rows


def _by_run(verb: str, time: datetime, run_id: str, webserver: str) -> list[list[object]]:
    """What a run has done, and the link to it."""
    from m3sync_dagster.runs.dagster_links import run_link

    link = run_link(run_id, webserver)
    return [[verb, f"{time_text(time)}, by the run {run_id}"], ["its run", Linked(link, link)]]
