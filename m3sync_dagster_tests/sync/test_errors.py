"""The tree of errors: its drawing in the docstring, and what every error offers."""

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from m3sync_dagster.sync import errors
from m3sync_dagster.sync.errors import (
    ConfigurationError,
    DeadlineError,
    RateLimitError,
    RemoteError,
    SyncError,
)

_NAME = re.compile(r"\b[A-Z]\w+Error\b")


def drawn() -> dict[str, str]:
    """Each class of the drawing, with its base class."""
    bases: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        branch, found = line.partition("  ")[0], _NAME.search(line)
        if found and (branch == "" or branch[0] in "├└│"):
            level = (found.start() - len("    ")) // len("├── ")
            path[level:] = [found[0]]
            if level:
                bases[found[0]] = path[level - 1]
    return bases


def classes() -> Iterator[tuple[str, str]]:
    """Each class of the product, with its first base class."""
    for source in sorted(Path(str(files("m3sync_dagster"))).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.bases:
                yield node.name, ast.unparse(node.bases[0]).rpartition(".")[2]


def existing() -> dict[str, str]:
    """Each subclass of ``SyncError``, with its base class."""
    known, found = {"SyncError"}, dict[str, str]()
    every = list(classes())
    while new := {n: base for n, base in every if base in known and n not in known}:
        known |= new.keys()
        found |= new
    return found


def test_the_drawing_shows_every_error_under_its_base_class() -> None:
    assert drawn() == existing()


def test_an_error_is_shown_as_cause_and_remedy() -> None:
    error = RemoteError("m3ter is unreachable.", "Try again later.")
    assert str(error) == "m3ter is unreachable. Try again later."
    assert str(SyncError("a cause", "A remedy.")) == "a cause. A remedy."
    assert str(SyncError("no object X", "A remedy.")) == "no object X. A remedy."


def test_another_remedy_keeps_class_cause_and_details() -> None:
    error = ConfigurationError("a cause", "A remedy.", ("entities", "account"))
    changed = error.with_remedy("Another remedy.")
    assert type(changed) is ConfigurationError
    assert (changed.cause, changed.remedy) == ("a cause", "Another remedy.")
    assert changed.where == ("entities", "account")
    assert error.remedy == "A remedy."


def test_another_cause_keeps_class_remedy_and_details() -> None:
    error = ConfigurationError("a cause", "A remedy.", ("entities", "account"))
    changed = error.with_cause("another cause\x1b[2K")
    assert type(changed) is ConfigurationError
    assert (changed.cause, changed.remedy) == (r"another cause\x1b[2K", "A remedy.")
    assert changed.where == ("entities", "account")
    assert error.cause == "a cause"


def test_the_arguments_of_an_error_are_its_cause_and_remedy() -> None:
    """Python shows them in ``repr``, and makes the error of another process from them."""
    error = RemoteError("a cause", "A remedy.")
    for one in (error, error.with_cause("a cause"), error.with_remedy("A remedy.")):
        assert one.args == ("a cause", "A remedy.")


def test_what_an_error_does_not_say() -> None:
    assert ConfigurationError("a cause", "A remedy.").where == ()
    assert not DeadlineError("a cause", "A remedy.").advanced


def test_status_and_event_of_errors_are_m3ters_words() -> None:
    assert (SyncError.status, SyncError.event) == ("ERROR", "integration.perform.error")
    assert ConfigurationError.event == "integration.validation.error"
    assert RateLimitError.status == "RATE_LIMIT_RETRY"
    assert DeadlineError("a cause", "A remedy.").status == "TIMEOUT_LIMIT_EXCEEDED"
