"""The fenced blocks of README and docs, with the remarks above them that say how they are tested.

A remark is an HTML comment, which no reader sees, on the line above the block:

- ``<!-- not run: reason -->``: nothing runs it. The tests list every such block.
- ``<!-- run by: path::test -->``: another test runs these commands.
- ``<!-- before: name -->``: steps of ``page_steps`` first, such as a click in Salesforce.
- ``<!-- exit code: 1 -->``: how the last command ends, if not with 0.
- ``<!-- file: path -->``: the reader writes the block into this file.

A block in ``text`` directly below one in ``sh`` is what these commands print: each of its lines
has to be there, in this order. ``…`` in it is any text.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from m3sync_dagster_tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^( *)```(\S*)\s*$")
_REMARK = re.compile(r"^\s*<!-- ([a-z ]+): (.+) -->$")
_KEYS = {"not run", "run by", "before", "exit code", "file"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: its file.
        line: the line of its fence, from 1.
        language: what its fence says; empty for nothing.
        text: what is in it, without the fence's indentation.
        remarks: the remarks above it, by key.
        shown: what the text block directly below says that it prints; empty for none.
    """

    page: Path
    line: int
    language: str
    text: str
    remarks: dict[str, str]
    shown: str = ""

    def __str__(self) -> str:
        return self.at(self.line)

    def at(self, line: int) -> str:
        return f"{os.path.relpath(self.page, ROOT)}:{line}"

    @property
    def is_run_here(self) -> bool:
        return self.language == "sh" and not self.remarks.keys() & {"not run", "run by"}

    @property
    def steps(self) -> list[str]:
        return list(filter(None, self.remarks.get("before", "").split(", ")))

    @property
    def commands(self) -> list[str]:
        """The lines that are commands, without comments."""
        lines = (line.split(" #")[0].strip() for line in self.text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in its order."""
    lines = page.read_text().splitlines()
    found = list(_fenced(page, lines))
    return [_with_output(block, found[i + 1 :], lines) for i, block in enumerate(found)]


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]


def _fenced(page: Path, lines: list[str]) -> Iterator[Block]:
    start: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if not fence:
            continue
        if start is None:
            start = (number, fence[1], fence[2])
            continue
        first, indent, language = start
        text = "\n".join(one.removeprefix(indent) for one in lines[first : number - 1])
        yield Block(page, first, language, text, _remarks(page, lines, first))
        start = None
    assert start is None, f"{page}: the block of line {start} does not end"


def _remarks(page: Path, lines: list[str], fence: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in reversed(lines[: fence - 1]):
        if not (remark := _REMARK.match(line)):
            break
        assert remark[1] in _KEYS, f"{page}:{fence}: there is no remark {remark[1]!r}"
        found[remark[1]] = ", ".join(filter(None, [remark[2], found.get(remark[1])]))
    return found


def _with_output(block: Block, following: list[Block], lines: list[str]) -> Block:
    """The block with the text block that follows it, if nothing but empty lines is between."""
    end = block.line + len(block.text.splitlines()) + 1
    if block.language != "sh" or not following or following[0].language != "text":
        return block
    if any(line.strip() for line in lines[end : following[0].line - 1]):
        return block
    return Block(**{**vars(block), "shown": following[0].text})
