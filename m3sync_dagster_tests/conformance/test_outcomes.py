import pytest
from outcomes import (
    EXPECTED,
    ExpectedFailure,
    Outcome,
    Suite,
    problems_of,
    read_expected,
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


def test_every_entry_of_the_list_has_a_reason() -> None:
    listed = read_expected(EXPECTED.read_text())
    assert listed
    for entries in listed.values():
        assert entries
        assert all(entry.test and entry.reason for entry in entries)
