"""Dagster's settings for a cluster are those of the project, except where they must differ."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from m3sync_dagster_tests.conftest import ROOT

MUST_DIFFER = {"kubernetes/dagster.yaml": {"run_launcher"}, "celery/dagster.yaml": {"run_launcher"}}
"""The settings that are others in a file: runs are jobs of Kubernetes, or tasks of Celery."""


def read(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return loaded


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    return {key for key in {*one, *other} if one.get(key) != other.get(key)}


@pytest.mark.parametrize("file", MUST_DIFFER)
def test_only_what_must_differ_differs(file: str) -> None:
    assert differences(read("dagster.yaml"), read(f"deploy/{file}")) == MUST_DIFFER[file]


def test_another_value_is_a_difference() -> None:
    project = read("dagster.yaml")
    monitoring = {**project["run_monitoring"], "max_runtime_seconds": 1}
    assert differences(project, {**project, "run_monitoring": monitoring}) == {"run_monitoring"}
