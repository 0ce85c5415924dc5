"""Each sentence of ``docs/from-m3ter.md`` about the guard has tests that prove it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.guard.documented_rules import NO_RULE, SENTENCES, TABLE

DOCUMENT = ROOT / "docs" / "from-m3ter.md"
HEADINGS = ("Which runs count as failures", "How reliable a message is")
PROOFS = {**TABLE, **SENTENCES}
TESTS = {
    (path, name) for proofs in PROOFS.values() for path, names in proofs.items() for name in names
}


def section(heading: str) -> str:
    """The text of a section of the document."""
    _, _, after = DOCUMENT.read_text().partition(f"\n## {heading}\n")
    assert after, f"there is no section {heading}"
    return after.partition("\n## ")[0]


def rows(text: str) -> list[str]:
    """The rows of the tables, without their heads."""
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|")]
    body = [line for line in lines if not set(line) <= set("-| ")]
    return [re.sub(r"\s*\|\s*", ": ", line) for line in body if line != "a run | counts"]


def sentences(text: str) -> Iterator[str]:
    """The sentences of the paragraphs and lists."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    for block in re.split(r"\n\s*\n|\n- ", f"\n{prose}"):
        words = " ".join(block.split()).removeprefix("- ")
        yield from filter(None, re.split(r"(?<=\.) |(?<=\.\*\*) ", words))


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_section_has_sentences(heading: str) -> None:
    assert len(list(sentences(section(heading)))) >= 9


def test_each_row_and_sentence_is_in_the_table() -> None:
    text = "\n\n".join(map(section, HEADINGS))
    assert Counter(rows(text)) == Counter(TABLE.keys())
    assert Counter(sentences(text)) == Counter([*SENTENCES, *NO_RULE])


@pytest.mark.parametrize(("path", "name"), sorted(TESTS))
def test_each_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / "m3sync_dagster_tests" / path).read_text())
    assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_nothing_is_without_proof() -> None:
    assert not [text for text, proofs in PROOFS.items() if not any(proofs.values())]
