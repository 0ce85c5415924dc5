from conformance_page import page
from outcomes import ExpectedFailure, Outcome, Suite

SUITES = [
    Suite("one", "1.0", (Outcome("a"), Outcome("b[x]", "no"), Outcome("b[y]", "no"))),
    Suite("two", "2.0", skipped="node and npm are not installed"),
]


def test_the_page_has_the_figures_and_the_reasons() -> None:
    expected = {name: [ExpectedFailure("b*", "not served")] for name in ("one", "two")}
    text = page(SUITES, expected)
    assert "| one | 1.0 | 3 | 1 | 2 |" in text
    assert "| two | 2.0 | not run: node and npm are not installed | | |" in text
    assert "| one | `b*` | 2 | not served |" in text
    assert "| two | `b*`" not in text
