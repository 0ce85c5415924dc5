"""Dagster's own commands in the project's folder, with nothing set and with a home."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import ROOT


@pytest.fixture
def project() -> Iterator[Path]:
    # A socket's path has to be short, so pytest's own temporary folders will not do.
    with tempfile.TemporaryDirectory(prefix="m3s") as made:
        for name in ("dagster.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, made)
        yield Path(made)


@pytest.mark.slow
def test_dg_lists_definitions_where_nothing_is_set(project: Path) -> None:
    unset = {"DAGSTER_HOME", "M3SYNC_POSTGRES_URL", "M3SYNC_DEFS"}
    listed = subprocess.run(
        [Path(sys.executable).parent / "dg", "list", "defs"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name not in unset},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "integration_guard" in listed.stdout
    assert (project / ".m3sync" / "postgres" / "PG_VERSION").exists()


def test_an_installation_says_where_its_storage_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(project))
    monkeypatch.delenv("M3SYNC_POSTGRES_URL", raising=False)
    with pytest.raises(ConfigurationError, match="M3SYNC_POSTGRES_URL is not set"):
        dg.DagsterInstance.get()
    assert not (project / ".m3sync").exists()
