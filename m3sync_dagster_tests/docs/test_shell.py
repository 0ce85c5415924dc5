"""The terminal of the walks names what is wrong: page, line and command."""

import os
from pathlib import Path

import pytest

from m3sync_dagster_tests.docs.blocks import blocks_of
from m3sync_dagster_tests.docs.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "files").mkdir()
    return Shell(tmp_path, dict(os.environ), tmp_path / "files")


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```sh\ntrue\n```", ""),
        ("A page.\n\n```sh\ntrue\nfalse\ntrue\n```", "page.md:5: false: exit code 1, not 0"),
        ("```sh\nfalse | true\n```", "page.md:2: true: exit code 1, not 0"),
        ("```sh\nls \\\n  nowhere\n```", "page.md:3: ls nowhere: exit code 2, not 0"),
        ("```sh\necho $UNSET\n```", "page.md:1: echo $UNSET: exit code 1, not 0"),
        ("<!-- exit code: 3 -->\n```sh\n(exit 3)\n```", ""),
        ("<!-- exit code: 3 -->\n```sh\ntrue\n```", "page.md:2: true: exit code 0, not 3"),
        ("```sh\necho 'a  b │ c'\necho d\n```\n```text\na …  c\nd\n```", ""),
        ("```sh\necho d\necho a\n```\n```text\na\nd\n```", "it does not print 'd'"),
        ("```sh\necho a\n```\n\nOther:\n\n```text\nb\n```", ""),
    ],
)
def test_what_is_wrong_is_named(shell: Shell, text: str, wrong: str) -> None:
    (block, *_) = blocks_of(page(shell.folder, text))
    found = shell.run(block)
    assert found if wrong else not found
    assert wrong in found


def test_a_block_begins_where_the_last_one_has_ended(shell: Shell) -> None:
    text = "```sh\nmkdir acme\ncd acme\nexport NAME='a b'\n```\n```sh\necho \"$PWD $NAME\"\n```"
    for block in blocks_of(page(shell.folder, text)):
        assert not (wrong := shell.run(block)), wrong
    assert shell.output.rstrip().endswith("/acme a b")


@pytest.mark.parametrize(
    "text", ["<!-- nor run: why -->\n```sh\ntrue\n```", "```sh\ntrue\n"], ids=["remark", "no end"]
)
def test_a_block_that_is_written_wrongly_is_found(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError):
        blocks_of(page(tmp_path, text))


def test_a_block_that_does_not_end_is_named(shell: Shell) -> None:
    shell.patience = 0.5
    (block,) = blocks_of(page(shell.folder, "```sh\nsleep 600 &\nsleep 600\n```"))
    wrong = shell.run(block)
    assert "page.md:1: sleep 600 &; sleep 600: exit code -9, not 0" in wrong
    assert "It had not ended after 0.5 s." in wrong
