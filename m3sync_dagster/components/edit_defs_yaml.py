"""Sets and removes an integration's ``salesforce_credential`` in its ``defs.yaml``."""

import re
from pathlib import Path

import yaml

from m3sync_dagster.components.integration_in_file import (
    IntegrationInFile,
    attributes_of,
    find_in_files,
    line_end,
    read_documents,
    replace_text,
)
from m3sync_dagster.sync.errors import ConfigurationError

ATTRIBUTE = "salesforce_credential"


def connect(integration: str, credential: str) -> Path:
    """Set an integration's Salesforce credential; gives the file that was changed.

    Raises:
        ConfigurationError: there is no such integration, or its file cannot be written.
    """
    place = find_in_files(integration, ATTRIBUTE)
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
    place = find_in_files(integration, ATTRIBUTE)
    known = place.pair(ATTRIBUTE)
    if known is None:
        return place.path
    return _write(place, _removed(place, *known), integration, None)


def _replaced(text: str, value: yaml.Node, credential: str) -> str:
    start, end = value.start_mark.index, value.end_mark.index
    if start == end:  # a key with nothing after its colon
        return f"{text[:start].rstrip(' ')} {credential}{text[end:]}"
    quote = text[start] if text[start] in "'\"" else ""
    return f"{text[:start]}{quote}{credential}{quote}{text[end:]}"


def _inserted(place: IntegrationInFile, credential: str) -> str:
    """The text with the attribute after the m3ter credential, or after the first attribute."""
    key, value = place.pair("m3ter_credential") or place.attributes.value[0]
    end = value.end_mark.index
    if place.attributes.flow_style:
        return f"{place.text[:end]}, {ATTRIBUTE}: {credential}{place.text[end:]}"
    after = line_end(place.text, end)
    added = f"{' ' * key.start_mark.column}{ATTRIBUTE}: {credential}{place.new_line}"
    before = place.text[:after]
    if not before.endswith("\n"):
        before += place.new_line
    return before + added + place.text[after:]


def _removed(place: IntegrationInFile, key: yaml.Node, value: yaml.Node) -> str:
    text, start, end = place.text, key.start_mark.index, value.end_mark.index
    if place.attributes.flow_style:
        return re.sub(r",\s*$", "", text[:start]) + text[end:]
    line_start, after = start - key.start_mark.column, line_end(text, end)
    comment = text[end:after].strip()
    if not comment:
        return text[:line_start] + text[after:]
    # A comment after the value is kept, on its own line.
    return text[:start] + comment + text[len(text[:after].rstrip("\r\n")) :]


def _write(place: IntegrationInFile, text: str, integration: str, credential: str | None) -> Path:
    _require_result(place.path, text, integration, credential)
    return replace_text(place, text, _by_hand(place, credential))


def _by_hand(place: IntegrationInFile, credential: str | None) -> str:
    """The same change in words, for a person who edits the file."""
    known = place.pair(ATTRIBUTE)
    if known and not credential:
        return f"delete line {known[0].start_mark.line + 1}, {ATTRIBUTE}"
    line = (known[0] if known else place.attributes).start_mark.line + 1
    return f"write {ATTRIBUTE}: {credential} in line {line}, under attributes"


def _require_result(path: Path, text: str, integration: str, credential: str | None) -> None:
    """Read the new text as Dagster does, and make sure that the credential is set or removed."""
    for document in read_documents(text):
        attributes = attributes_of(document) or {}
        if attributes.get("name") == integration and attributes.get(ATTRIBUTE) == credential:
            return
    raise ConfigurationError(
        f"{path} is written in a form that m3sync cannot edit",
        f"Edit {ATTRIBUTE} by hand.",
    )
