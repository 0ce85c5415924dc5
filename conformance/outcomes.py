"""The outcomes of a suite's tests, and their comparison with the list of expected failures.

A failure that is not in the list is an error, and so is an entry of the list of which a test passes
or which names no test. So no number of failures can change unseen.
"""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

EXPECTED = Path(__file__).with_name("expected_failures.toml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test.

    Args:
        test: its name, unique in its suite.
        error: why it failed; None if it passed.
    """

    test: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectedFailure:
    """Tests that must fail.

    Args:
        test: their name, in which ``*`` matches any characters.
        reason: why they fail.
    """

    test: str
    reason: str

    def names(self, test: str) -> bool:
        """Whether the entry names this test."""
        parts = map(re.escape, self.test.split("*"))
        return re.fullmatch(".*".join(parts), test, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Suite:
    """What one suite gave.

    Args:
        name: its name, which is also its heading in the list of expected failures.
        version: the version of the program that ran, or of the description that was checked.
        outcomes: the outcomes of its tests.
        skipped: why it did not run; None if it ran.
    """

    name: str
    version: str
    outcomes: tuple[Outcome, ...] = ()
    skipped: str | None = None

    @property
    def passed(self) -> int:
        """The number of tests that passed."""
        return sum(one.error is None for one in self.outcomes)

    @property
    def failed(self) -> int:
        """The number of tests that failed."""
        return len(self.outcomes) - self.passed


def read_expected(text: str) -> dict[str, list[ExpectedFailure]]:
    """The list of expected failures of each suite, from TOML."""
    return {
        name: [ExpectedFailure(**entry) for entry in entries]
        for name, entries in tomllib.loads(text).items()
    }


def problems_of(suite: Suite, expected: Iterable[ExpectedFailure]) -> list[str]:
    """What differs from the list; nothing if the suite did not run."""
    if suite.skipped:
        return []
    if not suite.outcomes:
        return [f"{suite.name}: it ran no tests"]
    entries = list(expected)
    problems = [
        f"{suite.name}: {one.test} failed: {one.error}"
        for one in suite.outcomes
        if one.error is not None and not any(entry.names(one.test) for entry in entries)
    ]
    for entry in entries:
        named = [one for one in suite.outcomes if entry.names(one.test)]
        if not named:
            problems.append(f"{suite.name}: the entry {entry.test} names no test; remove it")
        problems += [
            f"{suite.name}: {one.test} passed, but the entry {entry.test} expects a failure"
            for one in named
            if one.error is None
        ]
    return problems


def read_junit(text: str) -> tuple[Outcome, ...]:
    """The outcomes in a JUnit report; tests that were skipped are left out."""
    root = ET.fromstring(text)  # noqa: S314 - written by a program that we started
    return tuple(
        Outcome(_test_name(case), _error(case))
        for case in root.iter("testcase")
        if case.find("skipped") is None
    )


def read_lines(text: str) -> tuple[Outcome, ...]:
    """The outcomes that one of our scripts printed: a JSON object in each line."""
    return tuple(Outcome(**json.loads(line)) for line in text.splitlines() if line)


def outcomes_of_script(done: subprocess.CompletedProcess[str], script: str) -> tuple[Outcome, ...]:
    """The outcomes that a script of ours printed, and a failure if it ended with an error."""
    outcomes = read_lines(done.stdout)
    failed = Outcome(f"{script}: script", done.stderr[-600:])
    return (*outcomes, failed) if done.returncode else outcomes


def read_jest(text: str, file: str) -> tuple[Outcome, ...]:
    """The outcomes in a report of jest; tests that did not run are left out."""
    results = json.loads(text)["testResults"]
    outcomes = [
        Outcome(f"{file}: {one['fullName']}", _jest_error(one))
        for result in results
        for one in result["assertionResults"]
        if one["status"] in {"passed", "failed"}
    ]
    broken = [result["message"] for result in results if not result["assertionResults"]]
    return (*outcomes, *(Outcome(f"{file}: file", message[:600]) for message in broken))


def _jest_error(case: dict[str, Any]) -> str | None:
    if case["status"] == "passed":
        return None
    return "\n".join(case["failureMessages"])[:600] or "failed"


def _test_name(case: ET.Element) -> str:
    """The name of a test with the module and class in which it is."""
    place = case.get("classname", "").removeprefix("tests.api_resources.")
    return f"{place}.{case.get('name')}" if place else str(case.get("name"))


def _error(case: ET.Element) -> str | None:
    for kind in ("failure", "error"):
        found = case.find(kind)
        if found is not None:
            return (found.text or found.get("message") or kind).strip()[:600]
    return None
