"""A pytest plugin that starts PostgreSQL once, for the tests of all mutants.

mutmut forks a process for each mutant from one that has run the tests before. The databases that
session fixtures created there still exist, so the forked process uses them instead of its own.

PYTEST_DONT_REWRITE: it has no assertions, and ``run.py`` imports it before pytest does.
"""

from collections.abc import Iterator
from typing import cast

import pytest
from _pytest.fixtures import SubRequest

KEPT = ("postgres_server", "dagster_template", "state_template")
"""Session fixtures of ``m3sync_dagster_tests/conftest.py`` that yield a URL or a name."""

_open: dict[str, Iterator[str]] = {}
_values: dict[str, str] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[str], request: SubRequest) -> str | None:
    """Give the value of an earlier call of ``pytest.main`` in this process or its parent."""
    name = fixturedef.argname
    if name not in KEPT:
        return None
    if name not in _values:
        arguments = {one: request.getfixturevalue(one) for one in fixturedef.argnames}
        _open[name] = cast("Iterator[str]", fixturedef.func(**arguments))
        _values[name] = next(_open[name])
    fixturedef.cached_result = (_values[name], fixturedef.cache_key(request), None)
    return _values[name]


def close() -> None:
    """End the fixtures, those first that began last."""
    for fixture in reversed(_open.values()):
        next(fixture, None)
