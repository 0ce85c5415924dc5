"""The examples and exit codes at the end of each command's ``--help``."""

from collections.abc import Sequence

import typer

_SYNCED = "a row was refused or waits, or the sync failed"
_UNREACHABLE = "a system cannot be reached"

_HELP: dict[str, tuple[tuple[str, ...], str]] = {
    "init": (("m3sync init acme", "m3sync init"), ""),
    "dev": (("m3sync dev", "m3sync dev --port 3001"), "Dagster has ended by itself"),
    "demo": (("m3sync demo", "m3sync demo --once"), _SYNCED),
    "migrate": (("m3sync migrate",), "PostgreSQL cannot be reached"),
    "sandbox": (
        (
            "m3sync sandbox",
            "m3sync sandbox --json",
            "m3sync sandbox --lenient --requests-per-second 0",
            "m3sync sandbox --schema my-objects --salesforce-credentials test-app:test-secret",
        ),
        "",
    ),
    "check": (
        ("m3sync check", "m3sync check acme --json", "m3sync check acme --write"),
        "m3ter or Salesforce cannot be reached or refuses a credential",
    ),
    "plan": (
        (
            "m3sync plan acme",
            "m3sync plan acme --entity account --sample 20 --fields",
            "m3sync plan acme --record 0a1b2c3d-0000-4000-8000-000000000001",
        ),
        _UNREACHABLE,
    ),
    "run": (
        ("m3sync run acme", "m3sync run acme --entity account", "m3sync run acme --full"),
        _SYNCED,
    ),
    "verify": (
        ("m3sync verify acme", "m3sync verify acme --repair"),
        f"Salesforce differs from m3ter, or {_UNREACHABLE}",
    ),
    "status": (
        (
            "m3sync status",
            "m3sync status acme --json",
            "m3sync status --fail-if-stale 3h",
            "m3sync status --demo",
        ),
        "PostgreSQL cannot be reached, or an integration is stale",
    ),
    "enable": (("m3sync enable acme",), "PostgreSQL cannot be reached"),
    "disable": (
        ("m3sync disable acme", "m3sync disable acme --until 2026-12-24T08:00Z"),
        "PostgreSQL cannot be reached",
    ),
    "connect": (("m3sync connect acme salesforce_production",), ""),
    "disconnect": (("m3sync disconnect acme",), ""),
    "import": (
        ("m3sync import --dry-run", "m3sync import", "m3sync import --credential m3ter_eu --yes"),
        f"a configuration could not be imported, or {_UNREACHABLE}",
    ),
    "runs": (
        ("m3sync runs", "m3sync runs acme --since 2026-11-24 --limit 20"),
        "PostgreSQL cannot be reached",
    ),
    "record": (
        (
            "m3sync record acme account 0a1b2c3d-0000-4000-8000-000000000001",
            "m3sync record acme account ACME-UK",
            "m3sync record acme bill a025g00000AbCdEAAV --json",
        ),
        f"Salesforce's record differs from m3ter's, or {_UNREACHABLE}",
    ),
    "purge": (
        ("m3sync purge --dry-run", "m3sync purge --integration acme"),
        "PostgreSQL cannot be reached",
    ),
    "events list": (
        ("m3sync events", "m3sync events acme --all --since 2026-11-24"),
        "PostgreSQL cannot be reached",
    ),
    "events action": (
        ("m3sync events action 12 13", "m3sync events action --all-of acme"),
        "PostgreSQL cannot be reached",
    ),
    "rejects list": (
        ("m3sync rejects acme --entity account", "m3sync rejects --csv > rejects.csv"),
        "PostgreSQL cannot be reached",
    ),
    "rejects retry": (("m3sync rejects retry acme",), "PostgreSQL cannot be reached"),
    "salesforce metadata": (
        ("m3sync salesforce metadata", "m3sync salesforce metadata --entity account --out objects"),
        "",
    ),
    "salesforce deploy": (
        ("m3sync salesforce deploy acme --check-only", "m3sync salesforce deploy acme"),
        f"Salesforce refused the deploy, or {_UNREACHABLE}",
    ),
}


def add_help_texts(app: typer.Typer) -> None:
    """Give every command of the program its examples and exit codes."""
    _add(app, "")
    for group in app.registered_groups:
        if group.typer_instance:
            _add(group.typer_instance, f"{group.typer_instance.info.name} ")


def _add(app: typer.Typer, prefix: str) -> None:
    for command in app.registered_commands:
        name = str(command.name or getattr(command.callback, "__name__", ""))
        if known := _HELP.get(f"{prefix}{name}"):
            command.epilog = _epilog(*known)


def _epilog(examples: tuple[str, ...], failure: str) -> str:
    codes = ["0  done as asked", *([f"1  {failure}"] if failure else [])]
    codes.append("2  bad usage or configuration; nothing was sent")
    return f"{_list('Examples:', examples)}\n\n{_list('Exit codes:', codes)}"


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n  ".join([title, *lines])
