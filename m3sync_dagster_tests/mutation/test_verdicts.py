from dataclasses import replace

import pytest
from verdicts import (
    EXPLAINED,
    SURVIVORS,
    Explained,
    Mutant,
    Verdict,
    changed_lines,
    problems_of,
    read_explained,
    table,
)

from m3sync_dagster_tests.conftest import ROOT

SURVIVOR = Mutant("sync/plan.py", "Plan.rows", "a < 1", "a <= 1", Verdict.SURVIVED)
KILLED = replace(SURVIVOR, after="a > 1", verdict=Verdict.KILLED)
NOT_RUN = replace(SURVIVOR, file="state/purge.py", verdict=Verdict.NOT_RUN)
ENTRY = Explained("sync/plan.py", "Plan.rows", "a is never 1", "a <= 1")
NOT_RUN_ENTRY = Explained("state/purge.py", "*", "a slow test runs it", "*", "run by no quick test")

UNEXPLAINED = "no test kills this mutant: {0}, Plan.rows, {1}:\n- a < 1\n+ a <= 1"
UNUSED = "the entry sync/plan.py, Plan.rows, {} has no survivor; remove it"


@pytest.mark.parametrize(
    ("mutants", "entries", "all_tried", "expected"),
    [
        ([KILLED], [], True, []),
        ([SURVIVOR, KILLED], [ENTRY], True, []),
        ([SURVIVOR], [replace(ENTRY, after="a *= 1")], True, []),
        ([SURVIVOR], [replace(ENTRY, after="*")], True, []),
        ([SURVIVOR], [], True, [UNEXPLAINED.format("sync/plan.py", "survived")]),
        (
            [NOT_RUN],
            [replace(ENTRY, file="state/purge.py", verdict="run by no quick test")],
            True,
            [],
        ),
        (
            [NOT_RUN],
            [replace(NOT_RUN_ENTRY, verdict="survived")],
            False,
            [UNEXPLAINED.format("state/purge.py", "run by no quick test")],
        ),
        ([NOT_RUN], [], True, [UNEXPLAINED.format("state/purge.py", "run by no quick test")]),
        ([SURVIVOR], [replace(ENTRY, function="Plan.*")], True, []),
        # The text of an entry is no pattern but for the asterisk, and the whole line counts.
        (
            [SURVIVOR],
            [replace(ENTRY, after="a .= 1"), replace(ENTRY, after="a <=")],
            False,
            [UNEXPLAINED.format("sync/plan.py", "survived")],
        ),
        (
            [SURVIVOR],
            [replace(ENTRY, function="Plan.row")],
            False,
            [UNEXPLAINED.format("sync/plan.py", "survived")],
        ),
        # An entry must explain something, unless its module or the mutant was not tried.
        ([KILLED], [replace(ENTRY, after="a > 1")], True, [UNUSED.format("a > 1")]),
        ([KILLED], [ENTRY], False, []),
        ([replace(KILLED, file="guard/sensor.py")], [ENTRY], True, []),
    ],
)
def test_survivors_without_an_entry_and_entries_without_a_survivor_are_problems(
    mutants: list[Mutant], entries: list[Explained], all_tried: bool, expected: list[str]
) -> None:
    assert problems_of(mutants, entries, all_tried=all_tried) == expected


def test_the_changed_lines_of_a_diff() -> None:
    diff = "--- a.py\n+++ a.py\n@@ -1,3 +1,2 @@\n def f():\n-    g(1,\n-      2)\n+    g(1)\n"
    assert changed_lines(diff.splitlines()) == ("g(1,\n2)", "g(1)")


def test_the_table_counts_by_package() -> None:
    not_tried = replace(KILLED, verdict=Verdict.NOT_TRIED)
    mutants = [SURVIVOR, KILLED, replace(SURVIVOR, after="a != 1"), not_tried, NOT_RUN]
    _head, _line, *rows = table(mutants, [ENTRY]).splitlines()
    assert rows == [
        "| sync | 4 | 1 | 0 | 0 | 1 | 0 | 1 | 1 |",
        "| state | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 |",
    ]


def test_every_entry_has_a_reason_and_names_a_module() -> None:
    entries = read_explained(EXPLAINED.read_text())
    assert entries
    for entry in entries:
        assert entry.reason
        assert entry.verdict in SURVIVORS
        assert (ROOT / "m3sync_dagster" / entry.file).is_file(), entry.file
