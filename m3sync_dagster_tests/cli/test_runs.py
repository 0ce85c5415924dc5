"""Which runs are listed, and how their hours are written."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from m3sync_dagster.runs import run_list
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def test_runs_are_filtered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(*args: str) -> list[str]:
        return [next(iter(run["entities"])) for run in stage.run("runs", *args, "--json").json]

    # Dagster's storage is read in pages, so that a filter finds what is on a later one.
    monkeypatch.setattr(run_list, "PAGE", 1)
    for entity in ("account", "contract", "contract"):
        stage.run("run", "acme", "--entity", entity)
    assert listed() == ["contract", "contract", "account"]
    assert listed("--entity", "account") == ["account"]
    assert listed("--entity", "balance") == []
    assert listed("--limit", "2") == ["contract", "contract"]
    assert listed("--entity", "contract", "--limit", "1") == ["contract"]
    soon = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%d %H:%M}"
    assert listed("--since", soon) == []
    assert len(listed("--until", soon)) == 3
    assert stage.run("runs", "--since", "soon").code == 2
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:00\S\d\d:00 UTC", stage.run("runs").out)) == 3
