"""What is wrong with a ``defs.yaml``: which file, which line, which field, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import ValidationError

from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Problem:
    """A ``defs.yaml`` that cannot be used.

    Args:
        path: the file.
        message: what is wrong, with file, line and field as far as known, and the remedy.
        name: the integration or credential that it concerns, as far as known.
    """

    path: Path
    message: str
    name: str


def explain(path: Path, error: Exception, name: str | None = None) -> Problem:
    """Find the words for whatever went wrong with a file."""
    root = _root(error)
    known = name or _declared_name(path) or path.parent.name
    return Problem(path, "\n".join(_lines(path, root, known)), known)


def locate(path: Path, name: str, where: tuple[str, ...]) -> str:
    """Name the place of an attribute: ``<file>:<line>, attributes.<where>``.

    Args:
        path: the file.
        name: the ``name`` attribute of the component, since a file may hold several.
        where: the attribute's path; the line is that of its nearest part that is written there.
    """
    field = ".".join(("attributes", *where))
    tree = _positions(path, name, where)
    if tree is None:
        return f"{path}, {field}"
    for part in ("attributes", *where):
        tree = tree.children.get(part) or tree
    return f"{path}:{tree.position.start.line}, {field}"


def _root(error: BaseException) -> BaseException:
    """Dagster wraps what a file did wrong into what it was doing at the time."""
    if isinstance(error, ConfigurationError | ValidationError | yaml.YAMLError):
        return error
    inner = error.__cause__ or error.__context__
    return _root(inner) if inner else error


def _lines(path: Path, error: BaseException, name: str) -> Iterator[str]:
    match error:
        case ConfigurationError():
            yield f"{locate(path, name, error.where)}: {error}"
        case ValidationError():
            yield from _schema_lines(path, error, name)
        case yaml.MarkedYAMLError() if error.problem_mark:
            yield f"{path}:{error.problem_mark.line + 1}: {error.problem or 'not valid YAML'}"
        case _:
            yield f"{path}: {str(error).strip() or type(error).__name__}"


def _schema_lines(path: Path, error: ValidationError, name: str) -> Iterator[str]:
    """Dagster puts ``<dotted path> at <file>:<line>`` where Pydantic has a tuple.

    It lets every field be a template string too, and so finds fault twice: the fault that every
    field could have, not being a string, says nothing.
    """
    found = [
        (_attribute_path(detail["loc"]), detail["msg"])
        for detail in error.errors(include_url=False, include_input=False)
    ]
    telling = [(parts, message) for parts, message in found if parts[-1] != "str"] or found
    for parts, message in telling:
        # Names of alternatives stand between those of attributes; only the latter are written.
        where = tuple(part for part in parts if not part[:1].isupper() or part == parts[-1])
        yield f"{locate(path, name, where)}: {message}"


def _attribute_path(loc: tuple[int | str, ...]) -> list[str]:
    first = str(loc[0]) if loc else ""
    if " at " in first:
        return first.split(" at ")[0].split(".")[1:]
    return [str(part) for part in loc] or ["attributes"]


def _declared_name(path: Path) -> str | None:
    try:
        documents = list(parse_yamls_with_source_position(path.read_text(), str(path)))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    names = [_name_in(document.value) for document in documents]
    return next((name for name in names if name), None)


def _positions(path: Path, name: str, where: tuple[str, ...]) -> SourcePositionTree | None:
    """The document that is meant: the one of this name, or one that writes the attribute."""
    try:
        documents = list(parse_yamls_with_source_position(path.read_text(), str(path)))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    likeliest = sorted(
        documents,
        key=lambda document: (_writes(document.value, where), _name_in(document.value) == name),
        reverse=True,
    )
    return likeliest[0].source_position_tree if likeliest else None


def _writes(document: object, where: tuple[str, ...]) -> bool:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return bool(where) and isinstance(attributes, dict) and where[0] in attributes


def _name_in(document: object) -> str | None:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else None
