"""Every command of README and docs, as a reader types it: page by page, block by block."""

from pathlib import Path

import pytest

from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.docs.blocks import PAGES, Block, all_blocks, blocks_of
from m3sync_dagster_tests.docs.conftest import Terminal
from m3sync_dagster_tests.docs.page_steps import STEPS
from m3sync_dagster_tests.docs.walk import Walk

STARTS = {
    "README.md": "empty folder",
    "first-integration.md": "empty folder",
    "m3ter-setup.md": "new project",
    "salesforce-setup.md": "empty org",
    "surroundings.md": "empty folder",
}
"""Where a page starts, if not in a project whose integration has run."""

NOT_RUN = {
    "cd deploy/compose",  # Docker
    "cd deploy/kubernetes",  # a cluster
    "cd salesforce",  # Salesforce's command line needs a browser and an org
    "docker build --file deploy/Dockerfile --tag m3sync:0.1.0 .",
    "docker compose down",
    "kubectl rollout restart deployment",
    "kubectl scale deployment --all --replicas=0",
    "make test",
    "pip install --upgrade m3sync-dagster",
    "pip install 'm3sync-dagster[celery]'",
    "pip install m3sync-dagster",
    "python3 -m venv .venv",
}
"""The first command of every block that nothing runs; the reason is above the block."""


def pages_with_commands() -> list[Path]:
    return [page for page in PAGES if any(block.is_run_here for block in blocks_of(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with_commands(), ids=lambda page: page.name)
def test_the_commands_of_a_page(page: Path, terminal: Terminal) -> None:
    with terminal(STARTS.get(page.name, "synced project")) as walk:
        for block in blocks_of(page):
            assert not (wrong := walked(walk, block)), wrong


def walked(walk: Walk, block: Block) -> str:
    """Do what a block says; gives what is wrong with it."""
    for step in block.steps:
        STEPS[step](walk)
    if file := block.remarks.get("file"):
        path = walk.shell.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text + "\n")
    return walk.shell.run(block) if block.is_run_here else ""


def test_blocks_that_nothing_runs_are_listed_here() -> None:
    left_out = {block.commands[0] for block in all_blocks() if "not run" in block.remarks}
    assert left_out == NOT_RUN


def test_commands_of_m3sync_are_always_run() -> None:
    """Here, or by a test that the remark names."""
    left_out = [block for block in all_blocks() if "not run" in block.remarks]
    ours = [str(block) for block in left_out if any("m3sync " in one for one in block.commands)]
    assert ours == []


@pytest.mark.parametrize("block", [one for one in all_blocks() if "run by" in one.remarks], ids=str)
def test_the_test_that_runs_a_block_exists(block: Block) -> None:
    path, _, name = block.remarks["run by"].partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_commands_are_in_blocks_that_are_found() -> None:
    """Indented blocks have no language, so the tests would not find the commands in them."""
    programs = {
        command.split()[0]
        for block in all_blocks()
        if block.language == "sh"
        for command in block.commands
    }
    found = []
    for page in PAGES:
        fenced = {
            number
            for block in blocks_of(page)
            for number in range(block.line, block.line + len(block.text.splitlines()) + 2)
        }
        lines = ["", *page.read_text().splitlines()]
        found += [
            f"{page.name}:{number}: {line.strip()}"
            for number, line in enumerate(lines)
            if number not in fenced and line.startswith("    ") and line.split()[0] in programs
        ]
    assert found == []


def test_every_step_is_used() -> None:
    used = {step for block in all_blocks() for step in block.steps}
    assert used == set(STEPS)
