"""The errors of a ``defs.yaml``, with file, line, field, cause and remedy."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from m3sync_dagster.components.mistyped_attributes import no_such_attribute, no_such_component
from m3sync_dagster.components.yaml_text_checks import UnclearYamlError, read_defs_yaml
from m3sync_dagster.dagster_internals import (
    ValueAndSourcePositionTree,
    parse_yamls_with_source_position,
)
from m3sync_dagster.entities import OTHER_NAMES
from m3sync_dagster.sync.errors import ConfigurationError

_DAGSTER_LOCATION = re.compile(r"`?(?P<path>.*?) at .*:(?P<line>\d+)`?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LoadError:
    """A component that is not loaded, because its ``defs.yaml`` is invalid.

    Args:
        path: the file.
        message: what is wrong, with file, line and field as far as known, and the remedy.
        name: the integration or credential; the folder's name if the file's cannot be read.
    """

    path: Path
    message: str
    name: str


def messages_of(problems: Sequence[LoadError]) -> str:
    """The messages, one below the other."""
    return "\n".join(problem.message for problem in problems)


def explain(
    path: Path, faults: Iterable[tuple[str, Exception]], names: Iterable[str]
) -> list[LoadError]:
    """Describe the errors of a file: one problem for each component that it defines.

    Args:
        path: the file.
        faults: the errors, each with the name of the component that has it.
        names: of all components in the file.
    """
    message = "\n".join(line for name, error in faults for line in _lines(path, error, name))
    return [LoadError(path, message, name) for name in dict.fromkeys(names)]


def declared_names(path: Path) -> list[str]:
    """The names that a file defines, as far as it can be parsed; or else the folder's name."""
    named = [_name_in(document.value) for document in _documents(path)]
    return [name for name in named if name] or [path.parent.name]


def declares_its_names(path: Path) -> bool:
    """Whether a file can be parsed, and names each of its components without a template."""
    names = [_name_in(document.value) for document in _documents(path)]
    return bool(names) and all(name and "{" not in name for name in names)


def locate(path: Path, name: str, where: tuple[str, ...]) -> str:
    """Give the location of an attribute: ``<file>:<line>, attributes.<where>``.

    Args:
        path: the file.
        name: the ``name`` attribute of the component, since a file may define several.
        where: the attribute's path; the line is that of the longest part that is in the file.
    """
    return _place(path, name, ("attributes", *where))


def _place(path: Path, name: str, where: Sequence[str], line: int | None = None) -> str:
    document = _document(path, name, where, line)
    if document is None:
        return f"{path}, {'.'.join(where)}"
    tree, named = document.source_position_tree, []
    for part in where:
        written = next((p for p in (part, OTHER_NAMES.get(part)) if p in tree.children), None)
        tree = tree.children[written] if written else tree
        named.append(str(written or part))
    return f"{path}:{tree.position.start.line}, {'.'.join(named)}".rstrip(", ")


def _root(error: BaseException) -> BaseException:
    """The error of the file itself: Dagster wraps it into errors of its own."""
    if isinstance(error, ConfigurationError | ValidationError | yaml.YAMLError):
        return error
    inner = error.__cause__ or error.__context__
    return _root(inner) if inner else error


def _lines(path: Path, given: Exception, name: str) -> Iterator[str]:
    error = _root(given)
    match error:
        case UnclearYamlError():
            for fault in error.faults:
                place = f"{path}:{fault.line}, {'.'.join(fault.where)}".rstrip(", ")
                yield f"{place}: {fault.message}"
        case ConfigurationError() if not error.where:
            yield _with_path(path, str(error))
        case ConfigurationError():
            yield f"{locate(path, name, error.where)}: {error}"
        case ValidationError():
            yield from _schema_lines(path, error, name)
        case yaml.MarkedYAMLError() if error.problem_mark:
            yield f"{path}:{error.problem_mark.line + 1}: {error.problem or 'not valid YAML'}"
        case OSError() if error.strerror:
            yield f"{path} cannot be read ({error.strerror})"
        case _:
            yield _unknown_type(path) or f"{path}: {str(error).strip() or type(error).__name__}"


def _unknown_type(path: Path) -> str | None:
    """The first document whose ``type`` m3sync does not have."""
    for document in _documents(path):
        kind = document.value.get("type") if isinstance(document.value, dict) else None
        if isinstance(kind, str) and (message := no_such_component(kind)):
            line = document.source_position_tree.children["type"].position.start.line
            return f"{path}:{line}, type: {message}"
    return None


def _with_path(path: Path, message: str) -> str:
    return message if message.startswith(str(path)) else f"{path}: {message}"


def _schema_lines(path: Path, error: ValidationError, name: str) -> Iterator[str]:
    """Dagster puts ``<dotted path> at <file>:<line>`` where Pydantic has a tuple.

    It also accepts a template string in every field, so each fault comes with a second one, that
    the value is not a string. That one is left out.
    """
    details = error.errors(include_url=False)
    faults = [(*_attribute_path(detail["loc"]), detail) for detail in details]
    by_place: dict[str, list[str]] = {}
    for parts, line, detail in [one for one in faults if one[0][-1:] != ["str"]] or faults:
        document = _document(path, name, parts, line)
        where = _written(document, parts)
        place = _place(path, name, where, line)
        by_place.setdefault(place, []).append(_fault(document, where, detail))
    for place, messages in by_place.items():
        yield f"{place}: {'; or: '.join(dict.fromkeys(messages))}"


def _fault(
    document: ValueAndSourcePositionTree | None, where: Sequence[str], detail: ErrorDetails
) -> str:
    """Pydantic's message, or a clearer one for the most frequent faults."""
    value, kind = detail["input"], detail["type"]
    if kind == "extra_forbidden":
        content = document.value if document else None
        component = content.get("type") if isinstance(content, dict) else ""
        return no_such_attribute(str(component), where)
    if kind == "string_type" and isinstance(value, int | float):
        shown = str(value).lower() if isinstance(value, bool) else value
        return f"{shown} is not a text; put it in quotes: '{shown}'"
    if value is None and kind.endswith("_type"):
        return "there is no value; give it one, or delete the line"
    return detail["msg"]


def _written(document: ValueAndSourcePositionTree | None, parts: Sequence[str]) -> list[str]:
    """The part of a path that is in the document, with the attribute that is wrong or missing.

    Pydantic puts names of alternatives, such as ``bool`` and ``EntityConfig``, between those of
    attributes.
    """
    if document is None:
        return [part for part in parts if not part[:1].isupper() or part == parts[-1]]
    value, where = document.value, []
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if isinstance(value, dict) and (part in value or last):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif not last or place == 0:
            continue
        else:
            break
        where.append(part)
    return where


def _attribute_path(loc: tuple[int | str, ...]) -> tuple[list[str], int | None]:
    """The path, and a line of its document if Dagster gives one."""
    if match := _DAGSTER_LOCATION.fullmatch(str(loc[0]) if loc else ""):
        return match["path"].split("."), int(match["line"])
    return ["attributes", *map(str, loc)], None


def _document(
    path: Path, name: str, where: Sequence[str], line: int | None
) -> ValueAndSourcePositionTree | None:
    """The document that is meant: by its line, its name, or the attribute that it has.

    ``None`` if several may be meant: no line is better than a wrong one.
    """
    documents = _documents(path)
    if line is not None:
        documents = [one for one in documents if _first_line(one) <= line][-1:]
    documents = [one for one in documents if _name_in(one.value) == name] or documents
    documents = [one for one in documents if _has_attribute(one.value, where)] or documents
    return documents[0] if len(documents) == 1 else None


def _first_line(document: ValueAndSourcePositionTree) -> int:
    return document.source_position_tree.position.start.line


def _documents(path: Path) -> list[ValueAndSourcePositionTree]:
    """The documents of an invalid file; none if it cannot be parsed."""
    try:
        return list(parse_yamls_with_source_position(read_defs_yaml(path), str(path)))
    except Exception:  # noqa: BLE001 - one file's error must not stop the others
        return []


def _has_attribute(document: object, where: Sequence[str]) -> bool:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return len(where) > 1 and isinstance(attributes, dict) and where[1] in attributes


def _name_in(document: object) -> str | None:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else None
