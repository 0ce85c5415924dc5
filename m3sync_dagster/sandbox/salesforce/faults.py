"""Fault rules: errors that a test makes the sandbox return.

A rule is a JSON object of one of four forms. ``times`` is how often it applies (default 1;
``null``: always), and ``skip`` how many matching requests it ignores first.

- a request: ``{"method": "PATCH", "path": "/composite/.*", "status": 503, "body": [...],
  "headers": {...}}``. Instead of ``status``: ``"drop": "before"`` closes the connection before the
  request is processed; ``"drop": "after"`` processes the request and closes the connection
  without a response, so that the client does not know the result; ``"revoke": true`` ends all
  sessions first. ``path`` is a regular expression, searched for in the path; ``method`` is
  optional.
- rows: ``{"rows": {"object": "m3ter_Account__c", "external_ids": ["a1"], "code":
  "UNABLE_TO_LOCK_ROW", "message": "...", "fields": []}}``; each of these external IDs is rejected
  ``times`` times. Without ``external_ids`` the next ``times`` rows are rejected.
- an ingest job: ``{"job": {"object": "m3ter_Account__c", "fail_after": 400, "message":
  "InternalError : ..."}}`` saves that many rows, in chunks of 200, and then fails;
  ``"hang_after"`` saves them and then never ends; ``"polls_per_chunk": 50`` saves a chunk only
  at every fiftieth poll of the job's state. ``object`` is optional.
- the daily limit: ``{"budget": {"max": 15000, "used": 15000}}``.
"""

import re
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.errors import RowError


@dataclass(slots=True)
class RequestFault:
    """A rule for requests whose method and path match."""

    method: str | None
    path: re.Pattern[str]
    times: int | None
    skip: int
    status: int | None = None
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    revoke: bool = False

    def applies(self, method: str, path: str) -> bool:
        """Whether the rule applies to this request; counts it."""
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
    """A rule that rejects rows: by external ID, or the next ones."""

    object: str | None
    remaining: dict[str, int | None]
    remaining_any: int | None
    error: RowError

    def applies(self, target: str, key: str) -> bool:
        """Whether the rule applies to this row; counts it."""
        if self.object is not None and self.object.casefold() != target.casefold():
            return False
        if key in self.remaining:
            remaining = self.remaining[key]
            self.remaining[key] = None if remaining is None else max(remaining - 1, 0)
            return remaining != 0
        applies = self.remaining_any != 0
        self.remaining_any = self.remaining_any and self.remaining_any - 1
        return applies


@dataclass(slots=True)
class JobFault:
    """A rule for an ingest job: it fails or hangs after some rows, or waits before each chunk."""

    object: str | None
    times: int | None
    after: int | None
    hangs: bool
    message: str
    polls_per_chunk: int = 0


class Faults:
    """All active rules."""

    def __init__(self) -> None:
        self.requests: list[RequestFault] = []
        self.rows: list[RowFault] = []
        self.jobs: list[JobFault] = []

    def clear(self) -> None:
        """Removes all rules."""
        self.requests.clear()
        self.rows.clear()
        self.jobs.clear()

    def add(self, rule: JsonObject) -> None:
        """Adds a rule.

        Raises:
            KeyError, TypeError, re.error: the rule has none of the four forms.
        """
        if "rows" in rule:
            self.rows.append(_row_fault(rule["rows"], rule.get("times", 1)))
        elif "job" in rule:
            self.jobs.append(_job_fault(rule["job"], rule.get("times", 1)))
        else:
            self.requests.append(_request_fault(rule))

    def request(self, method: str, path: str) -> RequestFault | None:
        """The rule that applies to this request."""
        return next((rule for rule in self.requests if rule.applies(method, path)), None)

    def check_row(self, target: str, key: object) -> None:
        """Raises ``RowError`` if a rule applies to this row."""
        for rule in self.rows:
            if rule.applies(target, str(key)):
                raise rule.error

    def job(self, target: str) -> JobFault | None:
        """The rule that applies to a job of this object."""
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
    remaining: dict[str, int | None] = dict.fromkeys(keys or [], times)
    return RowFault(rule.get("object"), remaining, 0 if keys else times, error)


def _job_fault(rule: JsonObject, times: int | None) -> JobFault:
    hangs = "hang_after" in rule
    polls = int(rule.get("polls_per_chunk", 0))
    after = None if polls and not hangs else int(rule["hang_after" if hangs else "fail_after"])
    message = rule.get("message", "InternalError : A fault rule of the sandbox failed this job")
    return JobFault(rule.get("object"), times, after, hangs, message, polls)
