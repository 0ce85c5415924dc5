"""Links of README, docs and CHANGELOG, and of messages of the program to pages of the docs."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
TOP = [ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TAG = re.compile(r"""<\w+[^>]*? (?:src|srcset|href)=["']([^"']+)["']""")
BARE = re.compile(r"(?<![\w(`\"'])https?://[^\s)`>\"']+")
REFERENCE = re.compile(r"^\[[^\]]+\]: ", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FUNCTION = re.compile(r"`(\w+(?:\.\w+)*):(\w+(?:\.\w+)*)`")
PATH = re.compile(r"`((?:m3sync_dagster|m3sync_dagster_tests|docs|benchmarks)/[\w./-]+)`")
PAGE_IN_CODE = re.compile(r"docs/([\w-]+\.md(?:#[\w-]+)?)")
HOSTS = {"github.com", "keepachangelog.com", "oauth2-proxy.github.io", "127.0.0.1:3000"}
"""Other sites that pages link to. The tests reach none of them; a new one is read before."""


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def _links(page: Path) -> list[str]:
    prose = CODE.sub("", _prose(page))
    return [*LINK.findall(prose), *TAG.findall(prose)]


def _anchors(page: Path) -> set[str]:
    """GitHub's anchors: small letters, without punctuation, with dashes for spaces.

    The second heading of the same text gets ``-1``, the third ``-2``.
    """
    headings = (re.sub(r"[^\w\- ]", "", one.lower()) for one in HEADING.findall(_prose(page)))
    named, seen = set(), Counter[str]()
    for anchor in (one.strip().replace(" ", "-") for one in headings):
        named.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return named


def _is_broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in _anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_has_its_file_and_its_heading(page: Path) -> None:
    links = [one for one in _links(page) if "://" not in one]
    assert [one for one in links if _is_broken(page, one)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_other_link_is_https_and_leads_to_a_known_site(page: Path) -> None:
    links = [one for one in _links(page) if "://" in one]
    links += [one.rstrip(".,;:") for one in BARE.findall(CODE.sub("", _prose(page)))]
    urls = [urlsplit(one) for one in links]
    unknown = [url.geturl() for url in urls if url.netloc not in HOSTS]
    assert unknown == []
    assert [
        url.geturl() for url in urls if url.scheme != "https" and url.hostname != "127.0.0.1"
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_are_where_this_test_finds_them(page: Path) -> None:
    assert REFERENCE.findall(_prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = PATH.findall(_prose(page))
    assert [one for one in named if not (ROOT / one).exists()] == []


def test_a_broken_link_would_be_found() -> None:
    page = ROOT / "README.md"
    assert _is_broken(page, "docs/no-such-page.md")
    assert _is_broken(page, "docs/state.md#no-such-heading")
    assert not _is_broken(page, "docs/state.md#the-daily-purge")


def test_every_page_and_picture_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / one.partition("#")[0]).resolve() for one in _links(index)}
    assert set(PAGES) - {index} - linked == set()
    assert "docs/README.md" in _links(ROOT / "README.md")
    shown = {(page.parent / one).resolve() for page in PAGES for one in _links(page)}
    assert set((ROOT / "docs" / "pictures").glob("*.png")) - shown == set()


def test_pages_that_the_program_names_exist() -> None:
    """In its messages, its help and the files that it writes."""
    package = ROOT / "m3sync_dagster"
    files = [
        *package.rglob("*.py"),
        *package.rglob("*.yaml"),
        package / "project_files/env.example",
    ]
    named = {(file, page) for file in files for page in PAGE_IN_CODE.findall(file.read_text())}
    assert named
    broken = [(file, page) for file, page in named if _is_broken(ROOT / "docs" / "README.md", page)]
    assert broken == []


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
