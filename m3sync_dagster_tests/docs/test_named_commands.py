"""Commands that a sentence of README, docs or CHANGELOG names exist, with their options."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from m3sync_dagster.cli import app
from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.docs.blocks import PAGES

_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`(m3sync [^`]+)`")
_EVERYWHERE = {"--help", "--version", "--install-completion", "--show-completion"}


def named_commands(page: Path) -> list[str]:
    text = " ".join(_FENCED.sub("", page.read_text()).split())
    return _CODE.findall(text)


def mistake_in(line: str) -> str:
    """The word of a command line that the program does not know, or an empty text."""
    command = typer.main.get_command(app)
    for word in shlex.split(line)[1:]:
        if isinstance(command, TyperGroup) and word not in _EVERYWHERE:
            # `events` and `rejects` list, if the word is no command of theirs.
            if not (known := command.commands.get(word) or command.commands.get("list")):
                return word
            command = known
        options = {option for one in command.params for option in one.opts}
        if word.startswith("--") and word.split("=")[0] not in options | _EVERYWHERE:
            return word
    return ""


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    wrong = {line: word for line in named_commands(page) if (word := mistake_in(line))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("m3sync repair acme", "repair"),
        ("m3sync verify acme --fix", "--fix"),
        ("m3sync salesforce delete", "delete"),
        ("m3sync events action ID --al", "--al"),
        ("m3sync events acme --all", ""),
        ("m3sync rejects retry acme", ""),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, word: str) -> None:
    assert mistake_in(line) == word
