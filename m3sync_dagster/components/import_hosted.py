"""Writing the ``defs.yaml`` files of integrations that were made from m3ter's hosted ones.

A file that exists is never changed. Each file has m3ter's id of its configuration in a comment, so
that a second import finds it again, also after the integration got another name.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import yaml

from m3sync_dagster.components.load_project import (
    DefinedNames,
    Project,
    defined_names,
    defs_files,
    load_project,
)
from m3sync_dagster.components.yaml_text_checks import MOST_BYTES
from m3sync_dagster.discovery.hosted_integrations import Attributes, HostedIntegration
from m3sync_dagster.sync.errors import ConfigurationError

FILE = "defs.yaml"
FEW = 5
"""Entries of a list that a preview shows."""

_ID_LINE = re.compile(r"^# m3ter's id of the configuration: (\S+)$", re.MULTILINE)
_TYPE = "m3sync_dagster.SalesforceSync"


class Outcome(StrEnum):
    """What became, or will become, of a configuration."""

    NEW = "new"
    WRITTEN = "written"
    IMPORTED = "imported before"
    OTHER = "not for Salesforce"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlannedImport:
    """A configuration, the file of its integration, and what became of it.

    Args:
        made: the configuration and its integration.
        outcome: what became, or will become, of it.
        path: the file; ``None`` if there is none.
        reason: why nothing is written, or the file cannot be used.
        remedy: what a person can do about it, if it failed.
    """

    made: HostedIntegration
    outcome: Outcome
    path: Path | None = None
    reason: str = ""
    remedy: str = ""

    def failed(self, reason: str, remedy: str) -> "PlannedImport":
        """The same after a failure."""
        return replace(self, outcome=Outcome.FAILED, reason=reason, remedy=remedy)

    def as_dict(self) -> dict[str, object]:
        """It as JSON has it."""
        hosted, attributes = self.made.hosted, self.made.attributes
        return {
            "m3ter_id": hosted.id or None,
            "m3ter_name": hosted.name or None,
            "destination": hosted.destination or None,
            "entity_type": hosted.entity_type or None,
            "integration": self.made.name,
            "path": str(self.path) if self.path else None,
            "result": self.outcome.value,
            "reason": self.reason or None,
            "remedy": self.remedy or None,
            "attributes": attributes,
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.made.left_out],
        }


def plan_import(made: Iterable[HostedIntegration], folder: Path) -> list[PlannedImport]:
    """Decide for each integration whether its file can be written; nothing is written.

    Args:
        made: the integrations.
        folder: the folder for the folders of their files.
    """
    imported, names = dict(_imported()), defined_names(load_project())
    return [_planned(one, folder, imported, names) for one in made]


def write_imports(planned: Iterable[PlannedImport], folder: Path) -> list[PlannedImport]:
    """Write the new files, and give what became of each configuration.

    Raises:
        ConfigurationError: the first file cannot be written, so nothing was.
    """
    results: list[PlannedImport] = []
    for one in planned:
        if one.outcome is not Outcome.NEW:
            results.append(one)
            continue
        try:
            results.append(_written(one, folder))
        except ConfigurationError as error:
            if not any(result.outcome is Outcome.WRITTEN for result in results):
                raise
            results.append(one.failed(error.cause, error.remedy))
    return _with_load_errors(results, load_project())


def file_text(made: HostedIntegration, attributes: Attributes) -> str:
    """The text of an integration's file.

    Args:
        made: the integration.
        attributes: its attributes, or a shorter form of them to show.
    """
    hosted = made.hosted
    title = f'"{hosted.name}"' if hosted.name else "without a name"
    lines = [
        f"Imported from m3ter's integration {title} ({hosted.entity_type}, {hosted.destination}).",
        f"m3ter's id of the configuration: {hosted.id}",
        "minute_of_hour: accounts first, then contracts, commitments, balances and bills.",
        "",
        "Left out, or different from m3ter:",
        *(f"- {one.name}: {one.reason}" for one in made.left_out),
    ]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    content = {"type": _TYPE, "attributes": dict(attributes)}
    return comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1_000)


def preview(made: HostedIntegration) -> str:
    """The text of an integration's file, in which only the beginning of a long list is shown."""
    attributes = made.attributes or {}
    return file_text(made, {name: _beginning(value) for name, value in attributes.items()})


def _beginning(value: object) -> object:
    if isinstance(value, list) and len(value) > FEW:
        return [*value[:FEW], f"… and {len(value) - FEW} more"]
    return value


def _imported() -> Iterator[tuple[str, Path]]:
    """m3ter's id of each configuration that a file was made from, with the file."""
    for path in defs_files():
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        yield from ((found, path) for found in _ID_LINE.findall(text))


def _planned(
    made: HostedIntegration, folder: Path, imported: Mapping[str, Path], names: DefinedNames
) -> PlannedImport:
    if made.attributes is None:
        return _not_made(made)
    name = str(made.name)
    path = folder / name / FILE
    planned = PlannedImport(made, Outcome.NEW, path)
    if (before := imported.get(made.hosted.id)) is not None:
        return replace(
            planned, outcome=Outcome.IMPORTED, path=before, reason=f"{before} was made from it"
        )
    if name in names.names:
        return planned.failed(
            f"there is an integration of the name {name} already",
            "If that is another one, rename one of the two.",
        )
    if path.parent.exists() or path.parent.is_symlink():
        return planned.failed(*_exists(path.parent))
    if len(file_text(made, made.attributes).encode()) > MOST_BYTES:
        return planned.failed(
            f"its file would be larger than {MOST_BYTES // 1024} KiB, which m3sync does not read",
            "Shorten its lists of account ids in m3ter's Console.",
        )
    return planned


def _not_made(made: HostedIntegration) -> PlannedImport:
    if not made.for_salesforce:
        return PlannedImport(made, Outcome.OTHER, reason=made.reason)
    return PlannedImport(made, Outcome.FAILED).failed(
        made.reason, "Write its defs.yaml by hand, from its page in m3ter's Console."
    )


def _exists(place: Path) -> tuple[str, str]:
    return (
        f"{place} exists already",
        "Move it away, or give the configuration another name in m3ter's Console.",
    )


def _written(planned: PlannedImport, folder: Path) -> PlannedImport:
    """Write the file in a hidden folder, which then gets its name: so it is never half written.

    Raises:
        ConfigurationError: it cannot be written.
    """
    place = folder / str(planned.made.name)
    draft = folder / f".{place.name}.m3sync"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        text = file_text(planned.made, planned.made.attributes or {})
        (draft / FILE).write_text(text, "utf-8")
        draft.rename(place)  # fails if a file, or a folder that is not empty, has the name by now
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if place.exists():
            return planned.failed(*_exists(place))
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror})",
            "Give this user permission to write there, or set M3SYNC_DEFS to another folder.",
        ) from None
    return replace(planned, outcome=Outcome.WRITTEN)


def _with_load_errors(results: list[PlannedImport], project: Project) -> list[PlannedImport]:
    """Mark what was written and cannot be loaded."""
    problems = {problem.path: problem.message for problem in project.problems}
    return [
        one.failed(problems[one.path], "Correct the file.")
        if one.outcome is Outcome.WRITTEN and one.path in problems
        else one
        for one in results
    ]
