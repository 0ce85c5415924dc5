"""Checks a ``defs.yaml`` before Dagster reads it.

The file has to be a text of moderate size, and YAML has to read it as a person does: without a
warning, YAML uses the last of two equal keys, and reads ``NO`` as ``false``, ``007`` as 7,
``12:30`` as 750 and ``1.10`` as 1.1.

Source: YAML 1.1, https://yaml.org/type/bool.html, int.html and float.html.
"""

import codecs
import math
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import yaml

from m3sync_dagster.sync.errors import ConfigurationError

MOST_BYTES = 1024 * 1024
"""The largest file: Dagster needs about ten seconds for so much YAML."""
MOST_VALUES = 200_000
"""The most values of a file with its aliases written out."""
MOST_DEPTH = 100
"""The deepest nesting of values: an alias may contain itself."""

_TAG = "tag:yaml.org,2002:"
_NOT_TEXT = frozenset(f"{_TAG}{kind}" for kind in ("bool", "int", "float"))
_NO_NAME = _NOT_TEXT | {f"{_TAG}null"}
_PLAIN_INT = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_PLAIN_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.(0|[0-9]*[1-9])", re.ASCII)
FAST_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, which is ten times as fast; not every build of PyYAML has it."""
_LOADERS = (FAST_LOADER, yaml.SafeLoader)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Where = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class YamlFault:
    """A place in a file that YAML would not read as it is meant.

    Args:
        line: counted from 1.
        where: the path of the attribute.
        message: what is wrong, and what to do.
    """

    line: int
    where: Where
    message: str


class UnclearYamlError(ConfigurationError):
    """YAML would not read a file as it is meant.

    Args:
        faults: every such place, at least one.
    """

    def __init__(self, faults: Sequence[YamlFault]) -> None:
        super().__init__("\n".join(fault.message for fault in faults), "Correct the file.")
        self.faults = tuple(faults)


def read_defs_yaml(path: Path) -> str:
    """Read a file's text.

    Raises:
        ConfigurationError: it is not a file, too large, or not in UTF-8.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigurationError(f"{path} is not a file", "Put a file of this name there.")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ConfigurationError(
            f"{path} is larger than {MOST_BYTES // 1024} KiB",
            "Split it into several files, one for each integration.",
        )
    return decoded(path, content)


def decoded(path: Path, content: bytes) -> str:
    """Decode a file's content.

    Raises:
        ConfigurationError: it is not UTF-8; the message names the line.
    """
    remedy = "Save the file in the encoding UTF-8."
    if content.startswith(_UTF_16) or b"\0" in content:
        raise ConfigurationError(f"{path} is in UTF-16, or not a text", remedy)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line} is not in UTF-8", remedy) from None


def require_clear(text: str) -> None:
    """Make sure that YAML reads a text as a person does.

    Text that is not YAML passes: Dagster reports its errors.

    Raises:
        UnclearYamlError: it does not.
    """
    # Aliases may lead to a value several times.
    faults = {(fault.line, fault.message): fault for fault in _faults(text)}
    if faults:
        raise UnclearYamlError(sorted(faults.values(), key=lambda fault: fault.line))


def _faults(text: str) -> Iterator[YamlFault]:
    read, documents = 0, _documents(text)
    if documents == []:
        yield YamlFault(1, (), "there is nothing in this file. Write an integration, or delete it.")
    for document in documents or ():
        for node, where in _walk(document):
            read += 1
            if read > MOST_VALUES or len(where) > MOST_DEPTH:
                yield YamlFault(
                    document.start_mark.line + 1,
                    (),
                    f"with its aliases (*) written out, this has more than {MOST_VALUES} values "
                    f"or is nested more than {MOST_DEPTH} deep. Write it without aliases.",
                )
                return
            if isinstance(node, yaml.MappingNode):
                yield from _key_faults(node, where)
            elif isinstance(node, yaml.ScalarNode) and where[:1] == ("attributes",):
                yield from _value_faults(node, where)


def _documents(text: str) -> list[yaml.Node] | None:
    for loader in _LOADERS:
        try:
            return [one for one in yaml.compose_all(text, Loader=loader) if one is not None]
        except (yaml.YAMLError, RecursionError):
            continue
    return None


def _walk(document: yaml.Node) -> Iterator[tuple[yaml.Node, Where]]:
    """Yield each value with its path."""
    pending: list[tuple[yaml.Node, Where]] = [(document, ())]
    while pending:
        node, where = pending.pop()
        yield node, where
        if isinstance(node, yaml.MappingNode):
            pairs = reversed(node.value)
            pending += [(value, (*where, _name(key))) for key, value in pairs]
        elif isinstance(node, yaml.SequenceNode):
            places = range(len(node.value) - 1, -1, -1)
            pending += [(node.value[place], (*where, str(place))) for place in places]


def _name(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else "?"


def _key_faults(mapping: yaml.MappingNode, where: Where) -> Iterator[YamlFault]:
    keys = [key for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)]
    first: dict[tuple[str, str], int] = {}
    for place, key in enumerate(keys):
        line, path = key.start_mark.line + 1, (*where, key.value)
        before = first.setdefault((key.tag, key.value), place)
        if before != place:
            lines = f"line {keys[before].start_mark.line + 1} and again in line {line}"
            yield YamlFault(
                line,
                path,
                f"{key.value} is in {lines} of the same block, and YAML would use the last one. "
                "Delete one of the two.",
            )
        if path[:1] == ("attributes",) and key.tag in _NO_NAME and not key.style:
            yield YamlFault(
                line,
                path,
                f"{key.value or 'nothing'} is used as a name, and YAML does not read it as a "
                f"text. Put it in quotes: {_quoted(key.value)}.",
            )


def _value_faults(node: yaml.ScalarNode, where: Where) -> Iterator[YamlFault]:
    written = node.value
    if node.tag not in _NOT_TEXT or node.style or _as_meant(node.tag, written):
        return
    read = _read(node)
    otherwise = f", or write {read} if that is meant" if read else ""
    yield YamlFault(
        node.start_mark.line + 1,
        where,
        f"YAML reads {written} as {read or 'another value'}. "
        f"Put it in quotes, {_quoted(written)}, if this text is meant{otherwise}.",
    )


def _as_meant(tag: str, written: str) -> bool:
    """Whether a value is written as YAML 1.1, YAML 1.2 and JSON all write it."""
    if tag == f"{_TAG}bool":
        return written in {"true", "false"}
    if tag == f"{_TAG}int":
        return bool(_PLAIN_INT.fullmatch(written))
    # Binary floating point would lose digits of some numbers.
    plain = _PLAIN_FLOAT.fullmatch(written)
    return bool(plain) and Decimal(written) == Decimal(repr(float(written)))


def _read(node: yaml.ScalarNode) -> str:
    """A value as YAML reads it, written in plain form; empty if YAML cannot read it."""
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except ValueError:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return format(Decimal(repr(value)), "f")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
