"""What people are told of a change of state, as text and as HTML."""

import os
from dataclasses import dataclass
from html import escape
from typing import Any

from m3sync_dagster.guard.disable_policy import Change, ChangeKind
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.schedules import REPOSITORY
from m3sync_dagster.sync.errors import SyncError

WEBSERVER_URL = "M3SYNC_WEBSERVER_URL"
"""The environment variable with the address at which people see Dagster's UI."""
DEFAULT_WEBSERVER_URL = "http://127.0.0.1:3000"
LOCATION = "m3sync"
"""The name of our code location."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is ready to go.

    Args:
        subject: one line.
        text: as plain text.
        html: the same as HTML.
    """

    subject: str
    text: str
    html: str


def content_of(watched: GuardedIntegration, change: Change, error: SyncError) -> dict[str, Any]:
    """What there is to say of a change; it is kept as JSON until everybody knows of it."""
    return {
        "kind": change.kind.value,
        "schedule": watched.schedule,
        "failures": change.failures,
        "run_id": change.run.run_id,
        "since": change.run.ended.isoformat(sep=" ", timespec="seconds"),
        "error": error.cause,
        "remedy": error.remedy,
        "assets": [list(key.path) for key in watched.assets],
    }


def compose(integration: str, content: dict[str, Any]) -> Message:
    """Put a change of state into words."""
    subject, opening = _opening(integration, content)
    base = os.environ.get(WEBSERVER_URL, DEFAULT_WEBSERVER_URL).rstrip("/")
    details = [("Integration", integration), ("Since", content["since"])]
    if content["kind"] != ChangeKind.RECOVERED:
        details.append(("Last error", content["error"]))
    links = [
        ("The run", f"{base}/runs/{content['run_id']}"),
        ("The integration", _schedule_url(base, content["schedule"])),
    ]
    # A notice that has waited since an earlier version says nothing of what to do.
    remedy = content.get("remedy", "Put right what the error says.")
    steps = _STEPS[ChangeKind(content["kind"])].format(name=integration, remedy=remedy)
    return Message(
        subject,
        _text(opening, [*details, *links], steps),
        _html(opening, details, links, steps),
    )


_STEPS = {
    ChangeKind.DISABLED: "{remedy} Then run: m3sync enable {name}",
    ChangeKind.FAILING: "{remedy} The next hour tries again by itself. "
    "After 10 failures in a row the integration is disabled. "
    "See: m3sync events {name}",
    ChangeKind.RECOVERED: (
        "There is nothing to do. Hours that were missed are filled by the next run."
    ),
}


_CONSEQUENCE = "It is disabled: Salesforce gets no more changes until it is enabled again."


def _opening(integration: str, content: dict[str, Any]) -> tuple[str, str]:
    failures = content["failures"]
    match ChangeKind(content["kind"]):
        case ChangeKind.DISABLED:
            return (
                f"m3sync: {integration} is disabled",
                f"{integration} has failed {failures} times in a row. {_CONSEQUENCE}",
            )
        case ChangeKind.FAILING:
            return (
                f"m3sync: {integration} has failed {failures} times in a row",
                f"{integration} has failed {failures} times in a row; it is tried every hour.",
            )
        case ChangeKind.RECOVERED:
            return (
                f"m3sync: {integration} works again",
                f"{integration} has synced again without an error.",
            )


def _schedule_url(base: str, schedule: str) -> str:
    return f"{base}/locations/{REPOSITORY}@{LOCATION}/schedules/{schedule}"


def _text(opening: str, details: list[tuple[str, str]], steps: str) -> str:
    lines = [f"{name}: {value}" for name, value in details]
    return "\n".join([opening, "", *lines, "", "What to do:", steps, ""])


def _html(
    opening: str, details: list[tuple[str, str]], links: list[tuple[str, str]], steps: str
) -> str:
    rows = [
        f"<tr><th align='left'>{name}</th>"
        f"<td style='white-space: pre-wrap'>{escape(value)}</td></tr>"
        for name, value in details
    ]
    rows += [
        f"<tr><th align='left'>{name}</th><td><a href='{escape(url)}'>{escape(url)}</a></td></tr>"
        for name, url in links
    ]
    return (
        f"<html><body><p>{escape(opening)}</p><table>{''.join(rows)}</table>"
        f"<p><b>What to do:</b> {escape(steps)}</p></body></html>"
    )
