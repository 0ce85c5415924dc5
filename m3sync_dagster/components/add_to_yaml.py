"""Adds attributes to an integration in its ``defs.yaml``, and changes nothing else of the file."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import yaml

from m3sync_dagster.components.integration_in_file import (
    IntegrationInFile,
    attributes_of,
    line_end,
    pair_of,
    read_documents,
)
from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Added:
    """A value to add.

    Args:
        value: a text, null, or further values by name.
        comment: behind a text or null; above a mapping, one line for each of its lines.
    """

    value: "str | Mapping[str, Added] | None"
    comment: str = ""


Pair = tuple[yaml.Node, yaml.Node]
"""A key and its value in a file."""
_ALIAS = re.compile(r"\s*:\s+\*[^\s,\[\]{}]+")
Additions = Mapping[str, Added]
"""What to add to a mapping, by name. A mapping that the file already has is added to."""


def with_additions(place: IntegrationInFile, additions: Additions, after: str) -> str:
    """The file's text with attributes added to the integration.

    A mapping on one line becomes one of several lines if something is added to it.

    Args:
        place: the integration.
        additions: the attributes; each of their values is missing or null in the file.
        after: the attribute behind which new ones are put, if the file has it.

    Raises:
        ConfigurationError: the file is written in a form in which they cannot be added.
    """
    column = place.attributes.value[0][0].start_mark.column
    step = 2 if place.attributes.flow_style else column
    edits = _Edits(place.text, place.new_line, step)
    edits.add(place.attributes, additions, place.pair(after))
    changed = edits.result()
    if read_documents(changed) != _expected(place, additions):
        raise ConfigurationError(
            f"{place.path} is written in a form that m3sync cannot edit, such as with anchors or "
            "templates",
            "Add the proposed lines by hand.",
        )
    return changed


def _expected(place: IntegrationInFile, additions: Additions) -> list[object]:
    """What the changed file has to contain: all documents as before, and the additions."""
    name = place.pair("name")
    documents = deepcopy(read_documents(place.text))
    for document in documents:
        attributes = attributes_of(document)
        if attributes is not None and name and attributes.get("name") == name[1].value:
            _merge(attributes, additions)
    return documents


def _merge(attributes: dict[str, object], additions: Additions) -> None:
    for name, added in additions.items():
        if isinstance(added.value, Mapping):
            inner = attributes.get(name)
            own: dict[str, object] = dict(inner) if isinstance(inner, dict) else {}
            _merge(own, added.value)
            attributes[name] = own
        else:
            attributes[name] = added.value


@dataclass
class _Edits:
    """The changes of one text, each with the place that it replaces.

    Args:
        text: the text before the changes.
        new_line: its line end.
        step: by how many spaces a mapping in a mapping is indented.
    """

    text: str
    new_line: str
    step: int
    _inline: list[tuple[int, int, str]] = field(default_factory=list)
    _lines: list[tuple[int, list[str]]] = field(default_factory=list)

    def result(self) -> str:
        """The text with all changes. Lines for one place keep the order in which they came."""
        edits = [(start, end, text, False) for start, end, text in self._inline]
        edits += [(at, at, self.new_line.join([*new, ""]), True) for at, new in self._lines]
        changed, read = "", 0
        for start, end, text, whole_lines in sorted(edits, key=lambda edit: edit[0]):
            changed += self.text[read:start]
            if whole_lines and not changed.endswith("\n"):
                changed += self.new_line
            changed, read = changed + text, end
        return changed + self.text[read:]

    def add(
        self,
        mapping: yaml.MappingNode,
        additions: Additions,
        after: Pair | None = None,
    ) -> None:
        """Add to a mapping, behind one of its pairs, or at its end."""
        for name, added in additions.items():
            null = pair_of(mapping, name)
            if null and not isinstance(added.value, Mapping):
                self._replace(null[1], _scalar(added.value))
        if mapping.flow_style:
            end = mapping.end_mark.index - 1
            end = _end(self.text, mapping.value[-1]) if mapping.value else end
            self._inline.append((end, end, _flow_pairs(mapping, additions)))
            for pair, inner in _inner(mapping, additions):
                self._add_in_flow(pair[1], inner)
            return
        for pair, inner in _inner(mapping, additions):
            self._add_below(pair, inner)
        last = after or mapping.value[-1]
        column = mapping.value[0][0].start_mark.column
        new = {name: one for name, one in additions.items() if pair_of(mapping, name) is None}
        if new:
            lines = list(_lines_of(new, column, self.step))
            self._lines.append((line_end(self.text, _end(self.text, last)), lines))

    def _add_in_flow(self, value: yaml.Node, additions: Additions) -> None:
        if isinstance(value, yaml.MappingNode):
            self.add(value, additions)
        else:
            self._replace(value, f"{{{_flow(additions)}}}")

    def _replace(self, null: yaml.Node, value: str) -> None:
        """Replace a null, which may be nothing at all behind a colon."""
        start, end = null.start_mark.index, null.end_mark.index
        self._inline.append((start, end, f" {value}" if start == end else value))

    def _add_below(self, pair: Pair, additions: Additions) -> None:
        """Add to a value of a mapping of several lines."""
        key, value = pair
        start, end = value.start_mark.index, value.end_mark.index
        if isinstance(value, yaml.MappingNode) and (
            not value.flow_style or "\n" in self.text[start:end]
        ):
            self.add(value, additions)
            return
        lines = list(self._unfolded(value, additions, key.start_mark.column + self.step))
        colon = self.text.index(":", key.end_mark.index) + 1
        self._inline.append((colon, end, ""))
        self._lines.append((line_end(self.text, end), lines))

    def _unfolded(self, value: yaml.Node, additions: Additions, column: int) -> Iterator[str]:
        """The lines of a mapping of one line, or of null, with the additions."""
        pairs = value.value if isinstance(value, yaml.MappingNode) else []
        for key, old in pairs:
            start = key.start_mark.index
            added = additions.get(key.value)
            if added is None:
                yield " " * column + self.text[start : _end(self.text, (key, old))]
            elif isinstance(added.value, Mapping):
                yield f"{' ' * column}{self.text[start : key.end_mark.index]}:"
                yield from self._unfolded(old, added.value, column + self.step)
            else:
                yield from _lines_of({key.value: added}, column, self.step)
        known = {key.value for key, _ in pairs}
        new = {name: one for name, one in additions.items() if name not in known}
        yield from _lines_of(new, column, self.step)


def _inner(mapping: yaml.MappingNode, additions: Additions) -> Iterator[tuple[Pair, Additions]]:
    """The pairs of a mapping whose value is added to."""
    for name, added in additions.items():
        pair = pair_of(mapping, name)
        if pair and isinstance(added.value, Mapping):
            yield pair, added.value


def _end(text: str, pair: Pair) -> int:
    """Where a pair ends: the parser's end of a mapping is where the next text begins."""
    key, value = pair
    if value.start_mark.index < key.start_mark.index:  # an alias has the place of its anchor
        alias = _ALIAS.match(text, key.end_mark.index)
        return alias.end() if alias else int(key.end_mark.index)
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        return _end(text, value.value[-1])
    while isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
        value = value.value[-1]
    return max(int(key.end_mark.index), int(value.end_mark.index))


def _flow_pairs(mapping: yaml.MappingNode, additions: Additions) -> str:
    new = {name: one for name, one in additions.items() if pair_of(mapping, name) is None}
    return (", " if mapping.value and new else "") + _flow(new)


def _flow(additions: Additions) -> str:
    """Additions on one line, without their comments."""
    return ", ".join(
        f"{name}: {{{_flow(one.value)}}}"
        if isinstance(one.value, Mapping)
        else f"{name}: {_scalar(one.value)}"
        for name, one in additions.items()
    )


def _lines_of(additions: Additions, column: int, step: int) -> Iterator[str]:
    margin = " " * column
    for name, one in additions.items():
        if isinstance(one.value, Mapping):
            lines = one.comment.split("\n") if one.comment else []
            yield from (f"{margin}# {_printable(line)}" for line in lines)
            yield f"{margin}{name}:"
            yield from _lines_of(one.value, column + step, step)
        else:
            comment = f"  # {_printable(' '.join(one.comment.split()))}" if one.comment else ""
            yield f"{margin}{name}: {_scalar(one.value)}{comment}"


def _scalar(value: str | None) -> str:
    return "null" if value is None else value


def _printable(comment: str) -> str:
    """A comment without characters that YAML does not allow, such as an org's labels may have."""
    return "".join(one if one.isprintable() else " " for one in comment).rstrip()
