"""Sets and removes an integration's ``salesforce_credential`` in its ``defs.yaml``.

Only the characters of that attribute are changed, at the position that the parser gives. So
comments, order, quotes and line ends are kept exactly, which loading and dumping the file with a
YAML library does not do.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from m3sync_dagster.components.load_project import defs_files
from m3sync_dagster.dagster_internals import DagsterYamlLoader
from m3sync_dagster.sync.errors import ConfigurationError

ATTRIBUTE = "salesforce_credential"
_TYPE = "SalesforceSync"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an integration in a file.

    Args:
        path: the file.
        text: its content, with its own line ends.
        attributes: the node of its attributes, with its position in the text.
    """

    path: Path
    text: str
    attributes: yaml.MappingNode

    def pair(self, name: str) -> tuple[yaml.Node, yaml.Node] | None:
        """An attribute's key and value."""
        return next((pair for pair in self.attributes.value if pair[0].value == name), None)


def connect(integration: str, credential: str) -> Path:
    """Set an integration's Salesforce credential; gives the file that was changed.

    Raises:
        ConfigurationError: there is no such integration, or its file cannot be written.
    """
    place = _find(integration)
    known = place.pair(ATTRIBUTE)
    if known:
        value = known[1]
        changed = _replaced(place.text, value, credential)
    else:
        changed = _inserted(place, credential)
    return _write(place, changed, integration, credential)


def disconnect(integration: str) -> Path:
    """Remove an integration's Salesforce credential; gives the file.

    Raises:
        ConfigurationError: as for ``connect``.
    """
    place = _find(integration)
    known = place.pair(ATTRIBUTE)
    if known is None:
        return place.path
    return _write(place, _removed(place, *known), integration, None)


def _find(integration: str) -> Place:
    for path in defs_files():
        for place in _places(path):
            name = place.pair("name")
            if name and name[1].value == integration:
                return place
    raise ConfigurationError(
        f"no readable file defines an integration with the literal name {integration}",
        f"See m3sync status for the names. If a template makes the name, edit {ATTRIBUTE} by hand.",
    )


def _places(path: Path) -> Iterator[Place]:
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
            yield Place(path, text, attributes)


def _replaced(text: str, value: yaml.Node, credential: str) -> str:
    start, end = value.start_mark.index, value.end_mark.index
    if start == end:  # a key with nothing after its colon
        return f"{text[:start].rstrip(' ')} {credential}{text[end:]}"
    quote = text[start] if text[start] in "'\"" else ""
    return f"{text[:start]}{quote}{credential}{quote}{text[end:]}"


def _inserted(place: Place, credential: str) -> str:
    """The text with the attribute after the m3ter credential, or after the first attribute."""
    key, value = place.pair("m3ter_credential") or place.attributes.value[0]
    end = value.end_mark.index
    if place.attributes.flow_style:
        return f"{place.text[:end]}, {ATTRIBUTE}: {credential}{place.text[end:]}"
    line_end = _line_end(place.text, end)
    new_line = "\r\n" if "\r\n" in place.text else "\n"
    added = f"{' ' * key.start_mark.column}{ATTRIBUTE}: {credential}{new_line}"
    before = place.text[:line_end]
    if not before.endswith("\n"):
        before += new_line
    return before + added + place.text[line_end:]


def _removed(place: Place, key: yaml.Node, value: yaml.Node) -> str:
    text, start, end = place.text, key.start_mark.index, value.end_mark.index
    if place.attributes.flow_style:
        return re.sub(r",\s*$", "", text[:start]) + text[end:]
    line_start, line_end = start - key.start_mark.column, _line_end(text, end)
    comment = text[end:line_end].strip()
    if not comment:
        return text[:line_start] + text[line_end:]
    # A comment after the value is kept, on its own line.
    return text[:start] + comment + text[len(text[:line_end].rstrip("\r\n")) :]


def _line_end(text: str, index: int) -> int:
    """Where the next line begins."""
    line_end = text.find("\n", index)
    return len(text) if line_end < 0 else line_end + 1


def _write(place: Place, text: str, integration: str, credential: str | None) -> Path:
    _require_result(place.path, text, integration, credential)
    file = place.path.resolve()  # a symbolic link is kept
    new = file.with_name(f".{file.name}.m3sync")
    try:
        new.write_bytes(text.encode())
        shutil.copymode(file, new)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        change = _by_hand(place, credential)
        raise ConfigurationError(
            f"{place.path} cannot be written ({error.strerror})",
            f"Change the file where it comes from, such as a config map: {change}.",
        ) from None
    return place.path


def _by_hand(place: Place, credential: str | None) -> str:
    """The same change in words, for a person who edits the file."""
    known = place.pair(ATTRIBUTE)
    if known and not credential:
        return f"delete line {known[0].start_mark.line + 1}, {ATTRIBUTE}"
    line = (known[0] if known else place.attributes).start_mark.line + 1
    return f"write {ATTRIBUTE}: {credential} in line {line}, under attributes"


def _require_result(path: Path, text: str, integration: str, credential: str | None) -> None:
    """Read the new text as Dagster does, and make sure that the credential is set or removed."""
    try:
        documents = list(yaml.load_all(text, Loader=DagsterYamlLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        documents = []
    for document in documents:
        attributes = document.get("attributes") if isinstance(document, dict) else None
        if not isinstance(attributes, dict) or attributes.get("name") != integration:
            continue
        if attributes.get(ATTRIBUTE) == credential:
            return
    raise ConfigurationError(
        f"{path} is written in a form that m3sync cannot edit",
        f"Edit {ATTRIBUTE} by hand.",
    )
