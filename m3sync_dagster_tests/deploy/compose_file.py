"""The Compose file, and what it says of each service."""

from typing import Any

import yaml

from m3sync_dagster_tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "compose"
OURS = ("migration", "code-server", "webserver", "daemon")
"""The services that are m3sync's image."""


def compose() -> dict[str, Any]:
    """The file, with YAML's anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return loaded


def service(name: str) -> dict[str, Any]:
    """One of its services."""
    found: dict[str, Any] = compose()["services"][name]
    return found


def variables_of_the_example() -> set[str]:
    """The variables that the reader sets."""
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}
