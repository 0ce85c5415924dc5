"""The text of a message about changes of state, plain and as HTML."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from m3sync_dagster.guard.disable_policy import Change, ChangeKind
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.health_policy import LATE_AFTER, HealthChange
from m3sync_dagster.runs.dagster_links import LOCATION, run_link, schedule_link
from m3sync_dagster.runs.run_status import START_REMEDY
from m3sync_dagster.state import Content, Notice
from m3sync_dagster.sync.errors import SyncError

_ERROR_NAMES = {
    ChangeKind.LATE: "Why",
    ChangeKind.REJECTS: "Rows",
    ChangeKind.REJECTS_OVER: "Rows",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """A line of a message: a name and a value, which may be an address to follow."""

    name: str
    value: str
    link: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message that can be sent.

    Args:
        subject: one line.
        text: as plain text.
        html: the same as HTML.
    """

    subject: str
    text: str
    html: str


def content_of(integration: GuardedIntegration, change: Change, error: SyncError) -> Content:
    """What messages about a change are made from; it is kept as JSON in the outbox."""
    return {
        "kind": change.kind.value,
        "schedule": integration.schedule,
        "failures": change.failures,
        "not_started": change.not_started,
        "run_id": change.run.run_id,
        "since": datetime.fromtimestamp(change.run.ended, UTC).isoformat(
            sep=" ", timespec="seconds"
        ),
        "error": error.cause,
        "remedy": error.remedy,
        "assets": [list(key.path) for key in integration.assets],
    }


def content_of_health(
    integration: GuardedIntegration, change: HealthChange, error: SyncError
) -> Content:
    """The same for a change that no failed run causes."""
    since = datetime.fromtimestamp(change.since, UTC).isoformat(sep=" ", timespec="seconds")
    return {
        "kind": change.kind.value,
        "schedule": integration.schedule,
        "failures": 0,
        "run_id": change.run_id,
        "since": since,
        "error": error.cause,
        "remedy": error.remedy,
        "assets": [list(key.path) for key in integration.assets],
    }


def compose(notices: Collection[Notice]) -> Message:
    """Write one message about changes that have one kind and one cause.

    Args:
        notices: one or more for the same receiver. Two notices of one change are shown once.
    """
    changes = list({notice.change: notice for notice in notices}.values())
    first = changes[0].content
    kind = ChangeKind(first["kind"])
    names = [notice.integration for notice in changes]
    subject, opening = _opening(kind, names, first["failures"])
    details = [detail for notice in changes for detail in _details(notice)]
    if kind is not ChangeKind.RECOVERED:
        details.append(Detail(_ERROR_NAMES.get(kind, "Last error"), first["error"]))
    # A notice that an earlier version wrote has no remedy.
    remedy = first.get("remedy", "Correct what the error says.")
    steps = _steps(kind, names, remedy)
    return Message(subject, _text(opening, details, steps), _html(opening, details, steps))


def _details(notice: Notice) -> list[Detail]:
    """What is said of each integration."""
    content = notice.content
    run_id = content["run_id"]
    # A notice that an earlier version wrote has no location and no list views.
    schedule = schedule_link(content.get("location") or LOCATION, content["schedule"])
    views = content.get("list_views", {}).items()
    return [
        Detail("Integration", notice.integration),
        Detail("Since", content["since"]),
        *_not_started(content),
        *([Detail("The run", run_link(run_id), link=True)] if run_id else ()),
        Detail("The integration", schedule, link=True),
        *(Detail(f"{name} in Salesforce", url, link=True) for name, url in views),
    ]


def _not_started(content: Content) -> list[Detail]:
    """How many runs could not start, also where the last one failed for another cause."""
    # A notice that an earlier version wrote does not have the number.
    count = content.get("not_started", 0)
    text = f"{count} of {content['failures']} runs. {START_REMEDY}"
    return [Detail("Could not start", text)] if count else []


def _opening(kind: ChangeKind, names: Sequence[str], failures: int) -> tuple[str, str]:
    """The subject and the first sentence."""
    one = len(names) == 1
    who = names[0] if one else f"{len(names)} integrations"
    have, are, it = ("has", "is", "it") if one else ("have", "are", "they")
    failed = f"{who} {have} failed {failures} times in a row"
    match kind:
        case ChangeKind.DISABLED:
            consequence = f"Salesforce gets no more changes until {it} {are} enabled again."
            return (
                f"m3sync: {who} {are} disabled",
                f"{failed}, and {are} now disabled: {consequence}",
            )
        case ChangeKind.FAILING:
            return f"m3sync: {failed}", f"{failed}; the next hour tries again."
        case ChangeKind.RECOVERED:
            works = "works" if one else "work"
            return (
                f"m3sync: {who} {works} again",
                f"{who} {have} synced again without an error.",
            )
        case ChangeKind.LATE:
            hours = round(LATE_AFTER / 3600)
            return (
                f"m3sync: {who} {have} had no success for {hours} hours",
                f"{who} {are} enabled, and {have} not synced completely for {hours} hours.",
            )
        case ChangeKind.REJECTS:
            return (
                f"m3sync: {who} {have} many rejected rows",
                f"{who} {have} more rejected rows than its configuration allows under notify.",
            )
        case ChangeKind.REJECTS_OVER:
            return (
                f"m3sync: {who} {have} few rejected rows again",
                f"{who} {have} fewer rejected rows again than people are notified of.",
            )


def _steps(kind: ChangeKind, names: Sequence[str], remedy: str) -> str:
    """What to do."""
    match kind:
        case ChangeKind.DISABLED:
            commands = "; ".join(f"m3sync enable {name}" for name in names)
            return f"{remedy} Then run: {commands}"
        case ChangeKind.FAILING:
            see = names[0] if len(names) == 1 else ""
            return (
                f"{remedy} The next hour tries again by itself. After 10 failures in a row the "
                f"integration is disabled. See: m3sync events {see}".rstrip()
            )
        case ChangeKind.LATE | ChangeKind.REJECTS:
            return remedy
        case ChangeKind.REJECTS_OVER:
            return "Nothing."
        case ChangeKind.RECOVERED:
            return "Nothing. Hours that were missed are filled by the next run."


def _text(opening: str, details: Sequence[Detail], steps: str) -> str:
    lines = [f"{detail.name}: {detail.value}" for detail in details]
    return "\n".join([opening, "", *lines, "", "What to do:", steps, ""])


def _html(opening: str, details: Sequence[Detail], steps: str) -> str:
    rows = "".join(map(_html_row, details))
    return (
        f"<html><body><p>{escape(opening)}</p><table>{rows}</table>"
        f"<p><b>What to do:</b> {escape(steps)}</p></body></html>"
    )


def _html_row(detail: Detail) -> str:
    value = escape(detail.value)
    cell = f"<td style='white-space: pre-wrap'>{value}</td>"
    if detail.link:
        cell = f"<td><a href='{value}'>{value}</a></td>"
    return f"<tr><th align='left'>{escape(detail.name)}</th>{cell}</tr>"
