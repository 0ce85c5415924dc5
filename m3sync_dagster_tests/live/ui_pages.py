"""Dagster's UI in a real browser: the pages that people open, each opened until it is complete."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from m3sync_dagster_tests.conftest import PATIENCE, ROOT

PICTURES_TO = "M3SYNC_PICTURES"
"""The environment variable with the folder that the pictures are written to: ``make pictures``."""
SHOWN = "shown.json"
"""The names that the pictures show, so that a test knows when they are outdated."""
KEPT = ROOT / "docs" / "pictures"
"""The folder of the pictures that the documents show."""

ENTITIES = ("account", "contract", "commitment", "balance")
# A browser that sends requests only to the page that it shows.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_LABEL = re.compile(r"[a-z_/]+")
_NAMES = re.compile(r"\b(?:m3ter|salesforce)_[a-z_]+[a-z]\b")


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of the system's Chromium; without one, the test is skipped with a message."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="light")
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        yield page
        browser.close()


def open_lineage(page: Page, url: str, integration: str) -> None:
    """The lineage of the accounts: their source, and the assets below them."""
    path = f"assets/{integration}/salesforce_account"
    page.goto(f"{url}/{path}?view=lineage&lineageScope=neighbors")
    for node in ("m3ter_account", *(f"salesforce_{entity}" for entity in ENTITIES)):
        expect(page.locator("svg").get_by_text(node, exact=True)).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)


def open_materialization(page: Page, url: str, integration: str) -> None:
    """The accounts' page, with the counts of the newest sync, without its long list of columns."""
    page.goto(f"{url}/assets/{integration}/salesforce_account")
    page.get_by_role("button", name="Columns").click()
    expect(row_of(page, "salesforce_api_calls")).to_be_visible()
    expect(page.get_by_text("Latest check results")).to_be_visible()


PICTURES = {"lineage": open_lineage, "materialization": open_materialization}
"""The pages whose pictures the documents show, by the names of the pictures."""


def take_picture(page: Page, name: str, shown: list[str], folder: Path) -> None:
    """Take the picture of an open page, and compare what it shows with the picture that is kept.

    Args:
        page: the page.
        name: the picture's name.
        shown: the names on it, which no time of day changes.
        folder: where it is written, unless ``make pictures`` says where.
    """
    folder = Path(os.environ.get(PICTURES_TO, folder))
    page.screenshot(path=folder / f"{name}.png", animations="disabled")
    file = folder / SHOWN
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | {name: shown}, indent=2, ensure_ascii=False) + "\n")
    kept = json.loads((KEPT / SHOWN).read_text())
    assert (KEPT / f"{name}.png").is_file()
    assert shown == kept.get(name), "the page has changed; run: make pictures"


def row_of(page: Page, label: str) -> Locator:
    """The row of a table of metadata."""
    return page.get_by_role("row").filter(has=page.get_by_text(label, exact=True)).first


def names_on(page: Page) -> list[str]:
    """The assets of a lineage and the metadata of a table, which no time of day changes."""
    cells = map(str.strip, page.locator("tr td:first-child").all_inner_texts())
    labels = {text for text in cells if _LABEL.fullmatch(text)}
    nodes = " ".join(page.locator("foreignObject > *").all_inner_texts())
    return sorted(labels | set(_NAMES.findall(nodes)))
