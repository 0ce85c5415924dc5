import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FUNCTION = re.compile(r"`(\w+(?:\.\w+)*):(\w+(?:\.\w+)*)`")


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def _anchors(page: Path) -> set[str]:
    """GitHub's anchors: small letters, without punctuation, with dashes for spaces."""
    headings = (re.sub(r"[^\w\- ]", "", one.lower()) for one in HEADING.findall(_prose(page)))
    return {one.strip().replace(" ", "-") for one in headings}


def _is_broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in _anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_has_its_file_and_its_heading(page: Path) -> None:
    links = [one for one in LINK.findall(_prose(page)) if "://" not in one]
    assert [one for one in links if _is_broken(page, one)] == []


def test_a_broken_link_would_be_found() -> None:
    page = ROOT / "README.md"
    assert _is_broken(page, "docs/no-such-page.md")
    assert _is_broken(page, "docs/state.md#no-such-heading")
    assert not _is_broken(page, "docs/state.md#the-daily-purge")


def test_the_readme_links_every_page_of_the_documentation() -> None:
    linked = set(LINK.findall(_prose(ROOT / "README.md")))
    pages = {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"}
    assert pages - linked == set()


def test_the_page_about_one_record_names_functions_that_exist() -> None:
    named = FUNCTION.findall((ROOT / "docs" / "one-record.md").read_text())
    missing = []
    for module, path in named:
        found: object = import_module(f"m3sync_dagster.{module}")
        for name in path.split("."):
            found = getattr(found, name, None)
        if not callable(found):
            missing.append(f"{module}:{path}")
    assert named
    assert missing == []
