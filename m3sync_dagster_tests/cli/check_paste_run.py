"""A user's steps with an org whose package is not known: check, paste, and run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.independent_org.schema import STANDARD


@contextmanager
def serving(org: Org, monkeypatch: pytest.MonkeyPatch) -> Iterator[Org]:
    org.install(STANDARD)
    with running(org.app()) as url:
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        yield org


def written(namespace: str, **entities: str) -> str:
    """The integration's file; an entity's options are the rest of its line."""
    text = (DEFS / "acme" / "defs.yaml").read_text().replace("custom_objects", namespace)
    for name, options in entities.items():
        text = text.replace(f"    {name}: {{}}", f"    {name}: {options}")
    return text


def pasted(text: str, proposal: str) -> str:
    """The file after the user has pasted the proposal of ``check``."""
    column = " " * (len(text) - len(text.lstrip())) or re.search(r"\n( +)name:", text)[1]  # type: ignore[index]
    kept, dropping = [], False
    for line in text.splitlines(keepends=True):
        if re.match(rf"{column}\S|\S", line):
            dropping = bool(re.match(rf"{column}(namespace|namespace_prefix|entities):", line))
        if not dropping:
            kept.append(line)
    return "".join(kept) + proposal


def propose(stage: Stage) -> str:
    answer = stage.run("check", "acme", "--json")
    assert answer.code == 2, answer.out
    (found,) = [one for one in answer.json if one["check"] == "namespace"]
    assert "in place of namespace, namespace_prefix and entities" in found["remedy"]
    return str(found["proposal"])


def entities_of(proposal: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(proposal)["entities"]
    return found


def run(stage: Stage) -> dict[str, dict[str, int]]:
    answer = stage.run("run", "acme", "--json")
    assert answer.code == 0, answer.err
    found: dict[str, dict[str, int]] = answer.json["entities"]
    return found


def sent(org: Org) -> int:
    """Calls that sent rows since this was last read."""
    found = sum(bool(re.search("composite|batches", call)) for call in org.calls)
    org.calls.clear()
    return found
