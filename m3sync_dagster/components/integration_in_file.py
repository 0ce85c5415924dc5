"""Where an integration is in its ``defs.yaml``, and replacing that file's text.

Only the characters that change are replaced, at the positions that the parser gives. So comments,
order, quotes and line ends are kept exactly, which loading and dumping the file with a YAML library
does not do.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from m3sync_dagster.components.load_project import defs_files
from m3sync_dagster.dagster_internals import DagsterYamlLoader
from m3sync_dagster.sync.errors import ConfigurationError

_TYPE = "SalesforceSync"


@dataclass(frozen=True, slots=True)
class IntegrationInFile:
    """The place of an integration in a file.

    Args:
        path: the file.
        text: its content, with its own line ends.
        attributes: the node of its attributes, with its position in the text.
    """

    path: Path
    text: str
    attributes: yaml.MappingNode

    @property
    def new_line(self) -> str:
        """The file's line end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def pair(self, name: str) -> tuple[yaml.Node, yaml.Node] | None:
        """An attribute's key and value."""
        return pair_of(self.attributes, name)


def pair_of(mapping: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value with this name; ``None`` if there is none."""
    return next((pair for pair in mapping.value if pair[0].value == name), None)


def find_in_files(integration: str, what: str) -> IntegrationInFile:
    """Find an integration by its name, which the file has to contain literally.

    Args:
        integration: its name.
        what: what is to be edited, for the message.

    Raises:
        ConfigurationError: there is none.
    """
    for path in defs_files():
        for place in _integrations(path):
            name = place.pair("name")
            if name and name[1].value == integration:
                return place
    raise ConfigurationError(
        f"no readable file defines an integration with the literal name {integration}",
        f"See m3sync status for the names. If a template makes the name, edit {what} by hand.",
    )


def _integrations(path: Path) -> Iterator[IntegrationInFile]:
    """The integrations of a file; none if it is not YAML."""
    try:
        text = path.read_bytes().decode()
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return
    for document in documents:
        if not isinstance(document, yaml.MappingNode):
            continue
        parts = {str(key.value): value for key, value in document.value}
        kind, attributes = parts.get("type"), parts.get("attributes")
        is_sync = kind is not None and str(kind.value).endswith(_TYPE)
        if is_sync and isinstance(attributes, yaml.MappingNode):
            yield IntegrationInFile(path, text, attributes)


def line_end(text: str, index: int) -> int:
    """Where the next line begins."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def read_documents(text: str) -> list[object]:
    """The documents of a file as Dagster reads them; none if it cannot be read."""
    try:
        return list(yaml.load_all(text, Loader=DagsterYamlLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return []


def attributes_of(document: object) -> dict[str, object] | None:
    """The attributes of a document; ``None`` if it has none."""
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return attributes if isinstance(attributes, dict) else None


def replace_text(place: IntegrationInFile, text: str, by_hand: str) -> Path:
    """Replace a file's text in one step, and keep its mode.

    Args:
        place: the file, with the text that is replaced.
        text: the new one.
        by_hand: the same change in words, for a person who edits the file.

    Raises:
        ConfigurationError: the file cannot be written, or was changed meanwhile.
    """
    file = place.path.resolve()  # a symbolic link is kept
    new = file.with_name(f".{file.name}.m3sync")
    try:
        _require_writable(file)
        _require_unchanged(place)
        new.write_bytes(text.encode())
        shutil.copymode(file, new)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{place.path} cannot be written ({error.strerror})",
            f"Change the file where it comes from, such as a config map: {by_hand}.",
        ) from None
    return place.path


def _require_writable(file: Path) -> None:
    """A new file could replace one that its owner has protected; the superuser may write it."""
    protected = not stat.S_IMODE(file.stat().st_mode) & 0o222
    if protected or not os.access(file, os.W_OK):
        raise PermissionError(0, "it is read-only")


def _require_unchanged(place: IntegrationInFile) -> None:
    if place.path.read_bytes() != place.text.encode():
        raise ConfigurationError(
            f"{place.path} was changed meanwhile", "Nothing was written. Run the command again."
        )
