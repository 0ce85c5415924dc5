"""The versions of libraries that are installed."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from m3sync_dagster_tests.conftest import ROOT


def test_every_library_has_its_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pinned if not re.fullmatch(r"[\w.\-\[\]]+==[\w.+!]+", line)] == []
    names = {canonicalize_name(line.partition("==")[0]) for line in pinned}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted = {canonicalize_name(Requirement(one).name) for one in asked}
    assert wanted - names == set()
