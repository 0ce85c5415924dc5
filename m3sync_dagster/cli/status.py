"""``m3sync status``: each integration, whether it runs, and how it does."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_error, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterInstance

    from m3sync_dagster.components.integration import Integration
    from m3sync_dagster.components.load_errors import LoadError
    from m3sync_dagster.guard.schedules import Schedule
    from m3sync_dagster.state import GuardState, SalesforceOrg, Undelivered


def status(*, json: Json = False) -> None:
    """Show each integration: connected, enabled or why not, last run, failures, rejects."""
    ready()
    from dagster import DagsterInstance

    from m3sync_dagster.components.load_project import load_project
    from m3sync_dagster.components.loaded_integration import loaded_integrations

    project = load_project()
    integrations = [loaded.integration for loaded in loaded_integrations(project)]
    with DagsterInstance.get() as instance:
        known = _read(instance, integrations)
        rows = [_row(instance, one, known) for one in integrations]
    rows += [_broken(problem) for problem in project.problems]
    if json:
        print_json(rows)
    else:
        _show(rows)
    _report_errors(known)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of all integrations, by name."""

    schedules: "Mapping[str, Schedule]"
    states: "Mapping[str, GuardState]"
    failures: "Mapping[str, int]"
    rejects: "Mapping[str, int]"
    undelivered: "list[Undelivered]"
    orgs: "Mapping[str, Mapping[str, SalesforceOrg]]"
    restored: "list[str]"


def _read(instance: "DagsterInstance", integrations: "list[Integration]") -> _Known:
    from m3sync_dagster.components.integration_definitions import asset_key
    from m3sync_dagster.guard.failure_history import count_in_a_row
    from m3sync_dagster.guard.schedules import read_schedules
    from m3sync_dagster.runs.dead_runs import report_dead_runs
    from m3sync_dagster.state import (
        GuardState,
        connect,
        count_rejects,
        postgres_url,
        read_guard_states,
        read_salesforce_orgs,
        restored_integrations,
        undelivered,
    )

    with connect(postgres_url()) as connection:
        report_dead_runs(instance, connection, [one.name for one in integrations])
        recorded = read_guard_states(connection)
        states = {one.name: recorded.get(one.name, GuardState(one.name)) for one in integrations}
        assets = {one.name: [asset_key(one.name, e) for e in one.entities] for one in integrations}
        return _Known(
            schedules=read_schedules(instance, None),
            states=states,
            failures=count_in_a_row(instance, states, assets),
            rejects=count_rejects(connection),
            undelivered=undelivered(connection),
            orgs=read_salesforce_orgs(connection),
            restored=restored_integrations(connection),
        )


def _row(instance: "DagsterInstance", integration: "Integration", known: _Known) -> dict[str, Any]:
    from m3sync_dagster.components.schedule import schedule_name
    from m3sync_dagster.runs.run_status import last_run

    name = integration.name
    schedule, state = known.schedules.get(schedule_name(name)), known.states[name]
    undelivered = [asdict(one) for one in known.undelivered if one.integration == name]
    row = {
        "name": name,
        "connected": integration.connected,
        "enabled": bool(schedule and schedule.enabled and not state.disabled),
        "disabled_reason": _reason(integration, schedule, state),
        "last_run": last_run(instance, name),
        "failures_in_a_row": known.failures[name],
        "rejected": known.rejects.get(name, 0),
        **_orgs(integration, known),
    }
    if undelivered:
        row["undelivered"] = undelivered
    if name in known.restored:
        row["state_restored"] = True
    if state.guard_error:
        row["guard_error"] = state.guard_error
    return row


def _orgs(integration: "Integration", known: _Known) -> dict[str, Any]:
    """The org that runs have written to; where entities are in several, which is where."""
    orgs = known.orgs.get(integration.name, {})
    carried = {entity: org for entity, org in orgs.items() if entity in integration.entities}
    latest = next(iter(carried.values()), None)
    told: dict[str, Any] = {"salesforce_org": latest and latest.as_dict()}
    if len({org.id for org in carried.values()}) > 1:
        told["salesforce_org_by_entity"] = {key: org.as_dict() for key, org in carried.items()}
    return told


def _reason(
    integration: "Integration", schedule: "Schedule | None", state: "GuardState"
) -> str | None:
    """Why an integration does not run by itself; nobody may have started its schedule yet."""
    if not integration.connected:
        return "NOT CONNECTED"
    if state.disabled:
        return f"since {state.disabled_since:%Y-%m-%d %H:%M} UTC: {state.disabled_reason}"
    if schedule is None:
        return "never started"
    return None if schedule.enabled else "stopped by a person"


def _broken(problem: "LoadError") -> dict[str, Any]:
    return {
        "name": problem.name,
        "connected": False,
        "enabled": False,
        "disabled_reason": problem.message,
        "last_run": None,
        "failures_in_a_row": 0,
        "rejected": 0,
        "salesforce_org": None,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    columns = [
        "name",
        "connection",
        "Salesforce org",
        "enabled",
        "last run",
        "hour",
        "failures in a row",
        "rejected",
    ]
    print_table(
        "Integrations",
        columns,
        [
            [
                row["name"],
                "CONNECTED" if row["connected"] else "NOT CONNECTED",
                _org_cell(row),
                "yes" if row["enabled"] else f"no: {row['disabled_reason']}",
                row["last_run"] and row["last_run"].status,
                row["last_run"] and row["last_run"].partition,
                row["failures_in_a_row"],
                row["rejected"],
            ]
            for row in rows
        ],
    )


def _report_errors(known: _Known) -> None:
    """Report what the table has no place for, also of integrations that are no longer loaded."""
    for undelivered in known.undelivered:
        print_error(str(undelivered))
    for name in known.restored:
        print_error(
            f"{name}: the state database was restored from a backup, moved or failed over. The "
            f"next run sends every record again. To do that now: m3sync run {name}"
        )
    for name, state in known.states.items():
        if state.guard_error:
            print_error(f"{name}: the guard could not evaluate it: {state.guard_error}")


def _org_cell(row: dict[str, Any]) -> str | None:
    from m3sync_dagster.state import SalesforceOrg

    if by_entity := row.get("salesforce_org_by_entity"):
        return "; ".join(f"{key}: {SalesforceOrg(**org)}" for key, org in by_entity.items())
    return str(SalesforceOrg(**row["salesforce_org"])) if row["salesforce_org"] else None
