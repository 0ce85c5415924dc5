import subprocess

import pytest
from outcomes import (
    EXPECTED,
    ExpectedFailure,
    Outcome,
    Suite,
    outcomes_of_script,
    problems_of,
    read_expected,
    read_jest,
    read_junit,
    read_lines,
)

JUNIT = """\
<testsuites><testsuite>
<testcase classname="tests.api_resources.test_bills.TestBills" name="test_method_list[loose]"/>
<testcase classname="" name="GET /bills"><failure message="short">
 1. Response violates schema </failure></testcase>
<testcase classname="a" name="b"><error message="no server"/></testcase>
<testcase classname="a" name="c"><skipped/></testcase>
</testsuite></testsuites>
"""


def suite(*outcomes: Outcome, skipped: str | None = None) -> Suite:
    return Suite("one", "1.0", outcomes, skipped)


PASS, FAIL = Outcome("list[loose]"), Outcome("get[loose]", "404")


@pytest.mark.parametrize(
    ("ran", "entries", "expected"),
    [
        (suite(PASS), [], []),
        (suite(PASS, FAIL), ["get*"], []),
        (suite(PASS, FAIL), [], ["one: get[loose] failed: 404"]),
        (suite(PASS, FAIL), ["get*", "put*"], ["one: the entry put* names no test; remove it"]),
        (
            suite(PASS, FAIL),
            ["*[loose]"],
            ["one: list[loose] passed, but the entry *[loose] expects a failure"],
        ),
        # A name is not a prefix, and its brackets are ordinary characters.
        (
            suite(FAIL),
            ["get"],
            ["one: get[loose] failed: 404", "one: the entry get names no test; remove it"],
        ),
        (suite(), [], ["one: it ran no tests"]),
        (suite(skipped="no node"), ["get*"], []),
    ],
)
def test_what_differs_from_the_list_is_a_problem(
    ran: Suite, entries: list[str], expected: list[str]
) -> None:
    assert problems_of(ran, [ExpectedFailure(entry, "why") for entry in entries]) == expected


def test_counts() -> None:
    ran = suite(PASS, FAIL, PASS)
    assert (ran.passed, ran.failed) == (2, 1)


def test_reads_a_junit_report() -> None:
    assert read_junit(JUNIT) == (
        Outcome("test_bills.TestBills.test_method_list[loose]"),
        Outcome("GET /bills", "1. Response violates schema"),
        Outcome("a.b", "no server"),
    )


def test_reads_the_lines_of_a_script() -> None:
    text = '{"test": "a", "error": null}\n{"test": "b", "error": "no"}\n'
    assert read_lines(text) == (Outcome("a"), Outcome("b", "no"))


JEST = """\
{"testResults": [
 {"message": "", "assertionResults": [
  {"fullName": "upsert is done", "status": "passed", "failureMessages": []},
  {"fullName": "search finds", "status": "failed", "failureMessages": ["404"]},
  {"fullName": "not chosen", "status": "pending", "failureMessages": []}]},
 {"message": "cannot read the file", "assertionResults": []}]}
"""


def test_reads_a_report_of_jest() -> None:
    assert read_jest(JEST, "crud") == (
        Outcome("crud: upsert is done"),
        Outcome("crud: search finds", "404"),
        Outcome("crud: file", "cannot read the file"),
    )


@pytest.mark.parametrize(
    ("code", "expected"), [(0, ()), (1, (Outcome("crud: script", "no server"),))]
)
def test_a_script_that_ends_with_an_error_is_a_failure(
    code: int, expected: tuple[Outcome, ...]
) -> None:
    text = '{"test": "a", "error": null}\n'
    done = subprocess.CompletedProcess("node", code, text, "no server")
    assert outcomes_of_script(done, "crud") == (Outcome("a"), *expected)


def test_every_entry_of_the_list_has_a_reason() -> None:
    listed = read_expected(EXPECTED.read_text())
    assert listed
    for entries in listed.values():
        assert entries
        assert all(entry.test and entry.reason for entry in entries)
