"""The change that puts a proposed mapping into an integration's ``defs.yaml``."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from m3sync_dagster.components.add_to_yaml import Additions, with_additions
from m3sync_dagster.components.integration_in_file import (
    IntegrationInFile,
    find_in_files,
    replace_text,
)
from m3sync_dagster.components.load_errors import explain, messages_of
from m3sync_dagster.components.load_project import load_file
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class MappingChange:
    """A change of one file, not yet written.

    Args:
        place: the integration in the file as it is.
        text: the file's new text.
    """

    place: IntegrationInFile
    text: str

    def diff(self) -> str:
        """The change as a unified diff."""
        path = str(self.place.path)
        before, after = _lines(self.place.text), _lines(self.text)
        return "".join(unified_diff(before, after, path, path))

    def write(self) -> Path:
        """Write the file; gives its path.

        Raises:
            ConfigurationError: it cannot be written, or was changed meanwhile.
        """
        return replace_text(self.place, self.text, "make the proposed change there")


def change_mapping(integration: str, additions: Additions) -> MappingChange:
    """Prepare the change of an integration's file; nothing is written yet.

    Raises:
        ConfigurationError: the file cannot be changed so, or would be invalid.
    """
    place = find_in_files(integration, "the mapping")
    after = "namespace" if place.pair("namespace") else "m3ter_credential"
    text = with_additions(place, additions, after)
    _require_valid(place, integration, text)
    return MappingChange(place, text)


def _require_valid(place: IntegrationInFile, integration: str, text: str) -> None:
    """Load the new text as a run would, from another folder.

    Raises:
        ConfigurationError: it is not valid.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, place.path.parent.name, place.path.name)
        copy.parent.mkdir()
        if _load_error(copy, integration, place.text):
            return  # it needs the files beside it, and so cannot be loaded elsewhere
        if error := _load_error(copy, integration, text, mapped=True):
            message = messages_of(explain(copy, [(integration, error)], [integration]))
            raise ConfigurationError(
                f"the proposed mapping would make {place.path} invalid: "
                f"{message.replace(str(copy), str(place.path))}",
                "Nothing was written. Add the proposed lines by hand, and change what is wrong.",
            )


def _load_error(
    copy: Path, integration: str, text: str, *, mapped: bool = False
) -> Exception | None:
    """Write and load a file, and build the integration's mappings if asked."""
    copy.write_bytes(text.encode())
    try:
        for component in load_file(copy).components:
            if mapped and isinstance(component, SalesforceSync) and component.name == integration:
                dict(component.integration().mappings)
    except Exception as error:  # noqa: BLE001 - whatever Dagster reports of a file
        return error
    return None


def _lines(text: str) -> list[str]:
    """The lines with their ends; a missing one at the end is marked as diff marks it."""
    return list(_marked(text.split("\n")))


def _marked(parts: list[str]) -> Iterator[str]:
    *lines, last = parts
    yield from (f"{line}\n" for line in lines)
    if last:
        yield f"{last}\n\\ No newline at end of file\n"
