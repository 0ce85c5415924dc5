import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_says_where_each_field_goes() -> None:
    written = runpy.run_path(str(DOCS / "make_fields.py"))["page"]()
    assert (DOCS / "fields.md").read_text() == written, "Run: python docs/make_fields.py"
