"""What is wrong with a ``defs.yaml``: which file, which line, which field, and what to do."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import (
    SourcePositionTree,
    ValueAndSourcePositionTree,
)
from pydantic import ValidationError

from m3sync_dagster.sync.errors import ConfigurationError

_TOLD = re.compile(r"`?(?P<path>.*?) at .*:(?P<line>\d+)`?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LoadError:
    """Something that is not there, because its ``defs.yaml`` cannot be used.

    Args:
        path: the file.
        message: what is wrong, with file, line and field as far as known, and the remedy.
        name: the integration or credential; the folder's name where the file does not tell.
    """

    path: Path
    message: str
    name: str


def explain(
    path: Path, faults: Iterable[tuple[str, Exception]], names: Iterable[str]
) -> list[LoadError]:
    """Find the words for whatever went wrong with a file: a problem of each thing in it.

    Args:
        path: the file.
        faults: what went wrong, each with the name of what it was found in.
        names: all that the file defines.
    """
    message = "\n".join(line for name, error in faults for line in _lines(path, error, name))
    return [LoadError(path, message, name) for name in dict.fromkeys(names)]


def declared_names(path: Path) -> list[str]:
    """What a file defines, as far as it can be parsed; or else the folder's name."""
    named = [_name_in(document.value) for document in _documents(path)]
    return [name for name in named if name] or [path.parent.name]


def declares_its_names(path: Path) -> bool:
    """Whether a file can be parsed, and names all that it defines, each as a plain text."""
    names = [_name_in(document.value) for document in _documents(path)]
    return bool(names) and all(name and "{" not in name for name in names)


def locate(path: Path, name: str, where: tuple[str, ...]) -> str:
    """Name the place of an attribute: ``<file>:<line>, attributes.<where>``.

    Args:
        path: the file.
        name: the ``name`` attribute of the component, since a file may hold several.
        where: the attribute's path; the line is that of its nearest part that is written there.
    """
    return _place(path, name, ("attributes", *where))


def _place(path: Path, name: str, where: Sequence[str], line: int | None = None) -> str:
    tree = _positions(path, name, where, line)
    if tree is None:
        return f"{path}, {'.'.join(where)}"
    for part in where:
        tree = tree.children.get(part) or tree
    return f"{path}:{tree.position.start.line}, {'.'.join(where)}".rstrip(", ")


def _root(error: BaseException) -> BaseException:
    """Dagster wraps what a file did wrong into what it was doing at the time."""
    if isinstance(error, ConfigurationError | ValidationError | yaml.YAMLError):
        return error
    inner = error.__cause__ or error.__context__
    return _root(inner) if inner else error


def _lines(path: Path, given: Exception, name: str) -> Iterator[str]:
    error = _root(given)
    match error:
        case ConfigurationError():
            yield f"{locate(path, name, error.where)}: {error}"
        case ValidationError():
            yield from _schema_lines(path, error, name)
        case yaml.MarkedYAMLError() if error.problem_mark:
            yield f"{path}:{error.problem_mark.line + 1}: {error.problem or 'not valid YAML'}"
        case OSError() if error.strerror:
            yield f"{path} cannot be read ({error.strerror})"
        case _:
            yield f"{path}: {str(error).strip() or type(error).__name__}"


def _schema_lines(path: Path, error: ValidationError, name: str) -> Iterator[str]:
    """Dagster puts ``<dotted path> at <file>:<line>`` where Pydantic has a tuple.

    It lets every field be a template string too, and so finds fault twice: the fault that every
    field could have, not being a string, says nothing.
    """
    found = [
        (*_attribute_path(detail["loc"]), detail["msg"])
        for detail in error.errors(include_url=False, include_input=False)
    ]
    for parts, line, message in [one for one in found if one[0][-1:] != ["str"]] or found:
        # Names of alternatives stand between those of attributes; only the latter are written.
        where = [part for part in parts if not part[:1].isupper() or part == parts[-1]]
        yield f"{_place(path, name, where, line)}: {message}"


def _attribute_path(loc: tuple[int | str, ...]) -> tuple[list[str], int | None]:
    """The path, and a line of the document that it is in, where that is told."""
    if told := _TOLD.fullmatch(str(loc[0]) if loc else ""):
        return told["path"].split("."), int(told["line"])
    return ["attributes", *map(str, loc)], None


def _positions(
    path: Path, name: str, where: Sequence[str], line: int | None
) -> SourcePositionTree | None:
    """The document that is meant: that of the line or the name, or the one that writes this.

    Where more than one may be meant, no line is better than a wrong one.
    """
    documents = _documents(path)
    if line is not None:
        documents = [one for one in documents if _first_line(one) <= line][-1:]
    documents = [one for one in documents if _name_in(one.value) == name] or documents
    documents = [one for one in documents if _writes(one.value, where)] or documents
    return documents[0].source_position_tree if len(documents) == 1 else None


def _first_line(document: ValueAndSourcePositionTree) -> int:
    return document.source_position_tree.position.start.line


def _documents(path: Path) -> list[ValueAndSourcePositionTree]:
    """What a file says, as far as it can be parsed: it is looked at because it cannot be used."""
    try:
        return list(parse_yamls_with_source_position(path.read_text(), str(path)))
    except Exception:  # noqa: BLE001 - whatever is wrong with a file, the others are to load
        return []


def _writes(document: object, where: Sequence[str]) -> bool:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return len(where) > 1 and isinstance(attributes, dict) and where[1] in attributes


def _name_in(document: object) -> str | None:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else None
