"""Takes the README's pictures of a running demo: ``python docs/make_pictures.py [URL]``.

Needs Playwright's Python package and a Chromium of the system (Debian: apt-get install chromium).
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

PICTURES = Path(__file__).with_name("pictures")
SIZE = ViewportSize(width=1400, height=900)
ACCOUNTS = "assets/acme/salesforce_account"
ENTITIES = ("account", "contract", "commitment", "balance")
# A browser that talks to nobody but the page that it shows.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of the system's Chromium.

    Raises:
        FileNotFoundError: there is none.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise FileNotFoundError("there is no chromium here; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield browser.new_page(viewport=SIZE)
        finally:
            browser.close()


def open_lineage(page: Page, url: str) -> None:
    """Show where the accounts come from, and what follows them."""
    page.goto(f"{url}/{ACCOUNTS}?view=lineage&lineageScope=neighbors")
    for node in ("m3ter_account", *(f"salesforce_{entity}" for entity in ENTITIES)):
        page.locator("svg").get_by_text(node, exact=True).wait_for()


def open_materialization(page: Page, url: str) -> None:
    """Show what the newest hour of the accounts has counted."""
    page.goto(f"{url}/{ACCOUNTS}")
    page.get_by_role("row").filter(has_text="salesforce_api_calls").wait_for()


def main(url: str) -> None:
    """Take both pictures."""
    PICTURES.mkdir(exist_ok=True)
    with browser_page() as page:
        page.goto(url)
        page.get_by_role("button", name="Hide navigation").click()
        for name, show in (("lineage", open_lineage), ("materialization", open_materialization)):
            show(page, url)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:3000")
