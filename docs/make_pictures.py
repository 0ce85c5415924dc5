"""Takes the README's screenshots of a running demo: ``python docs/make_pictures.py [URL]``.

Needs Playwright's Python package and the system's Chromium (Debian: apt-get install chromium).
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
# A browser that sends no requests of its own.
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
    """Open a page in the system's Chromium.

    Raises:
        FileNotFoundError: Chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise FileNotFoundError("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield browser.new_page(viewport=SIZE)
        finally:
            browser.close()


def open_lineage(page: Page, url: str) -> None:
    """Show the lineage of the accounts: their source, and the assets below them."""
    page.goto(f"{url}/{ACCOUNTS}?view=lineage&lineageScope=neighbors")
    for node in ("m3ter_account", *(f"salesforce_{entity}" for entity in ENTITIES)):
        page.locator("svg").get_by_text(node, exact=True).wait_for()


def open_materialization(page: Page, url: str) -> None:
    """Show the counts of the newest materialization of the accounts."""
    page.goto(f"{url}/{ACCOUNTS}")
    page.get_by_role("row").filter(has_text="salesforce_api_calls").wait_for()


def main(url: str) -> None:
    """Take both screenshots."""
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
