"""Things that go wrong on purpose.

A rule is a JSON object of one of four forms. ``times`` says how often it strikes (1 unless given;
``null``: always) and ``skip`` how many matching requests pass before it does.

- a request: ``{"method": "PATCH", "path": "/composite/.*", "status": 503, "body": [...],
  "headers": {...}}``; or, in the place of ``status``, ``"drop": "before"`` cuts the connection with
  nothing done, ``"drop": "after"`` does all that was asked and then cuts it, so that the client
  cannot know, and ``"revoke": true`` ends all sessions first. ``path`` is a regular expression that
  is searched for in the path; ``method`` may be left out.
- rows: ``{"rows": {"object": "m3ter_Account__c", "external_ids": ["a1"], "code":
  "UNABLE_TO_LOCK_ROW", "message": "...", "fields": []}}``; each of the ids is refused ``times``
  times. Without ``external_ids`` it is the next ``times`` rows, whichever they are.
- an ingest job: ``{"job": {"object": "m3ter_Account__c", "fail_after": 400, "message":
  "InternalError : ..."}}`` saves that many rows, in chunks of 200, and then fails;
  ``"hang_after"`` saves them and then never ends; ``"polls_per_chunk": 50`` saves a chunk only
  with each fiftieth question for the job's state. ``object`` may be left out.
- the daily budget: ``{"budget": {"max": 15000, "used": 15000}}``.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from m3sync_dagster.sandbox.salesforce.errors import RowError

JsonObject = dict[str, Any]


@dataclass(slots=True)
class RequestFault:
    """What happens to requests whose method and path match."""

    method: str | None
    path: re.Pattern[str]
    times: int | None
    skip: int
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    revoke: bool = False

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.times == 0 or (self.method and self.method.upper() != method):
            return False
        if not self.path.search(path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True


@dataclass(slots=True)
class RowFault:
    """What is said of rows with certain external IDs."""

    object: str | None
    left: dict[str, int | None]
    any_left: int | None
    error: RowError

    def strikes(self, target: str, key: str) -> bool:
        """Whether this row is refused; counts it."""
        if self.object is not None and self.object.casefold() != target.casefold():
            return False
        if key in self.left:
            left = self.left[key]
            self.left[key] = None if left is None else max(left - 1, 0)
            return left != 0
        struck = self.any_left != 0
        self.any_left = self.any_left and self.any_left - 1
        return struck


@dataclass(slots=True)
class JobFault:
    """What happens to an ingest job: after so many rows, if given, or before each chunk."""

    object: str | None
    times: int | None
    after: int | None
    hangs: bool
    message: str
    polls_per_chunk: int = 0


class Faults:
    """All rules that are in force."""

    def __init__(self) -> None:
        self.requests: list[RequestFault] = []
        self.rows: list[RowFault] = []
        self.jobs: list[JobFault] = []

    def clear(self) -> None:
        """Lets everything work again."""
        self.requests.clear()
        self.rows.clear()
        self.jobs.clear()

    def add(self, rule: JsonObject) -> None:
        """Adds a rule.

        Raises:
            KeyError, TypeError, re.error: the rule is not of one of the forms.
        """
        if "rows" in rule:
            self.rows.append(_row_fault(rule["rows"], rule.get("times", 1)))
        elif "job" in rule:
            self.jobs.append(_job_fault(rule["job"], rule.get("times", 1)))
        else:
            self.requests.append(_request_fault(rule))

    def request(self, method: str, path: str) -> RequestFault | None:
        """The rule that hits this request."""
        return next((rule for rule in self.requests if rule.strikes(method, path)), None)

    def refuse_row(self, target: str, key: object) -> None:
        """Raises the ``RowError`` that is set for a row."""
        for rule in self.rows:
            if rule.strikes(target, str(key)):
                raise rule.error

    def job(self, target: str) -> JobFault | None:
        """The rule that hits a job of this object."""
        for rule in self.jobs:
            named = rule.object is None or rule.object.casefold() == target.casefold()
            if named and rule.times != 0:
                rule.times = None if rule.times is None else rule.times - 1
                return rule
        return None


def _request_fault(rule: JsonObject) -> RequestFault:
    options = {"times": 1, "skip": 0, "method": None, **rule}
    if not options.keys() & {"status", "drop", "revoke"}:
        raise KeyError("status, drop or revoke")
    return RequestFault(**{**options, "path": re.compile(options.get("path", ""))})


def _row_fault(rule: JsonObject, times: int | None) -> RowFault:
    error = RowError(rule["code"], rule.get("message", ""), *rule.get("fields", []))
    keys = rule.get("external_ids")
    left: dict[str, int | None] = dict.fromkeys(keys or [], times)
    return RowFault(rule.get("object"), left, 0 if keys else times, error)


def _job_fault(rule: JsonObject, times: int | None) -> JobFault:
    hangs = "hang_after" in rule
    polls = int(rule.get("polls_per_chunk", 0))
    after = None if polls and not hangs else int(rule["hang_after" if hangs else "fail_after"])
    message = rule.get("message", "InternalError : The sandbox was told to fail this job")
    return JobFault(rule.get("object"), times, after, hangs, message, polls)
