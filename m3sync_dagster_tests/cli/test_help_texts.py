"""``--help``, ``--version``, shell completion and the names of entities."""

import os
import subprocess
from collections.abc import Iterator
from importlib import metadata

import pytest
import typer
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.cli.processes import PROGRAM


def commands(of: typer.Typer = app, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the program, as it is typed."""
    for command in of.registered_commands:
        yield (*before, str(command.name or getattr(command.callback, "__name__", "")))
    for group in of.registered_groups:
        assert group.typer_instance
        yield from commands(group.typer_instance, (str(group.typer_instance.info.name),))


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_has_examples_and_exit_codes(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.stdout
    typed = [word for word in command if word != "list"]
    assert f"  m3sync {' '.join(typed)}" in shown.stdout
    assert "2  bad usage or configuration; nothing was sent" in shown.stdout


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"m3sync {metadata.version('m3sync-dagster')}\n")


def complete(line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    given = {"_M3SYNC_COMPLETE": "complete_bash", "COMP_WORDS": line}
    done = subprocess.run(
        [PROGRAM],
        env={**os.environ, **given, "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_shell_completes_commands_and_entities() -> None:
    assert complete("m3sync ena") == ["enable"]
    assert complete("m3sync run acme --entity c") == ["contract", "commitment"]
    assert complete("m3sync run acme --entity pre") == ["prepayment"]


@pytest.mark.parametrize("command", ["run acme", "plan acme", "verify acme", "salesforce metadata"])
def test_an_entity_that_does_not_exist_is_refused_with_the_choices(command: str) -> None:
    answer = CliRunner().invoke(app, [*command.split(), "--entity", "prepaid"])
    assert answer.exit_code == 2
    words = " ".join(answer.stderr.replace("│", " ").split())
    assert "there is no entity 'prepaid'" in words
    assert "account, contract, commitment, balance, bill" in words


def test_a_prepayment_is_a_commitment(stage: Stage) -> None:
    report = stage.run("run", "acme", "--entity", "prepayment", "--json").json
    assert list(report["entities"]) == ["commitment"]
    plan = stage.run("plan", "acme", "--entity", "Prepayment", "--json").json
    assert list(plan["entities"]) == ["commitment"]
