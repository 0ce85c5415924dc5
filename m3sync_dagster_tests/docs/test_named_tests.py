"""The tests that the pages about threats and failures name as proofs exist."""

import ast
import re
from functools import cache

import pytest

from m3sync_dagster_tests.conftest import ROOT

PAGES = {"threat-model.md": 25, "reliability.md": 25}
"""The pages, with the number of rows that they have at the least."""
TESTS = ROOT / "m3sync_dagster_tests"
_PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows_of(page: str) -> list[str]:
    """The rows of the tables of a page, without their headings."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    body = [
        line
        for line, above in zip(lines[1:], lines, strict=False)
        if line.startswith("|") and above.startswith("|")
    ]
    return [line for line in body if set(line) - set("|- ")]


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests of a file; none if there is no such file."""
    file = TESTS / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text())
    return frozenset(
        one.name
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    )


def missing_proofs(row: str) -> list[str]:
    """The proofs of a row that do not exist; the row itself if it has none."""
    named = _PROOF.findall(row.rsplit("|", 2)[1])
    return [f"{path}::{name}" for path, name in named if name not in names_in(path)] or (
        [] if named else [row]
    )


@pytest.mark.parametrize("page", PAGES)
def test_each_row_has_a_proof_and_each_proof_exists(page: str) -> None:
    rows = rows_of(page)
    assert len(rows) >= PAGES[page]
    assert [missing for row in rows for missing in missing_proofs(row)] == []


@pytest.mark.parametrize(
    "proof", ["", "`test_loopback.py`", "`test_loopback.py::test_nothing`", "`none.py::test_a`"]
)
def test_a_row_without_a_test_that_exists_is_found(proof: str) -> None:
    assert missing_proofs(f"| a failure | what you see | {proof} |") != []
