"""Notices edited ``defs.yaml`` files, and describes what has changed in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import dagster as dg

from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.load_project import (
    FilesState,
    Project,
    files_state,
    load_project,
)
from m3sync_dagster.components.salesforce_sync import SalesforceSync

_KINDS: Mapping[str, type[dg.Component]] = {
    "integration": SalesforceSync,
    "m3ter credential": M3terCredential,
    "Salesforce credential": SalesforceCredential,
}


@dataclass(frozen=True, slots=True)
class DefsChange:
    """What has changed since the files were last read.

    Args:
        changes: a line for each integration or credential that was added, changed or removed.
        problems: the messages of the files that are invalid now.
    """

    changes: list[str]
    problems: list[str]


@dataclass
class DefsWatch:
    """The ``defs.yaml`` files, as they were when they were last read."""

    _read: FilesState = field(init=False)
    _last_seen: FilesState = field(init=False)
    _project: Project = field(init=False)

    def __post_init__(self) -> None:
        # Before the files are read, so that an edit in between is noticed.
        self._read = self._last_seen = files_state()
        self._project = load_project()

    def change(self) -> DefsChange | None:
        """What has changed, once the files have stayed as they are from one call to the next.

        An editor may write a file in several steps.
        """
        stamps, before = files_state(), self._last_seen
        self._last_seen = stamps
        if stamps == self._read or stamps != before:
            return None
        old, self._read, self._project = self._project, stamps, load_project()
        problems = list(dict.fromkeys(problem.message for problem in self._project.problems))
        return DefsChange(list(_differences(old, self._project)), problems)


def _differences(old: Project, new: Project) -> Iterator[str]:
    for kind, component in _KINDS.items():
        before, after = old.of_type(component), new.of_type(component)
        for name in sorted({*before, *after}):
            if name not in before:
                yield f"{'valid again' if _is_invalid(old, name) else 'added'}: {kind} {name}"
            elif name not in after:
                yield f"{'invalid' if _is_invalid(new, name) else 'removed'}: {kind} {name}"
            elif before[name] != after[name]:
                yield f"changed: {kind} {name}"


def _is_invalid(project: Project, name: str) -> bool:
    return any(problem.name == name for problem in project.problems)
