from pathlib import Path

import pytest
from process_figures import Counts, Figures
from results_page import Measured, Page, comparison, table, write

COUNTS = Counts(m3ter_pages=10, salesforce_calls=6, rows=1_000, bytes_sent=2_500_000, unknown=[])
START, LOAD = "Start: an empty organization", "1,000 accounts"


def figures(wall: float, cpu: float, server_cpu: float = 0.0) -> Figures:
    return Figures(wall, cpu, 100.0, server_cpu, 50.0, COUNTS, 0, "{}")


def measured(problem: str | None = None) -> list[Measured]:
    """Two tools: their start, and a load in which the other needs twice the time."""
    return [
        Measured(START, "first load", "m3sync", [figures(2, 1, 1)], None),
        Measured(START, "first load", "other", [figures(1, 1)], None),
        Measured(LOAD, "first load", "m3sync", [figures(9, 4, 1), figures(11, 6, 1)], None),
        Measured(LOAD, "first load", "other", [figures(20, 3), figures(20, 3)], problem),
    ]


def cells(text: str, tool: str) -> dict[str, str]:
    """The last row of a tool, by the headings of its table; a repeated heading gets a number."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    head = [f"{name} {place}" if name == "x" else name for place, name in enumerate(rows[0])]
    return dict(zip(head, [row for row in rows if row[0] == tool][-1], strict=True))


def test_ratios_are_those_of_the_medians() -> None:
    found = cells("\n".join(comparison(measured())), "other")
    assert found["wall, s"] == "20.0 (20.0 to 20.0)"
    assert found["x 2"] == "2.00"
    assert (found["less start, s"], found["x 4"]) == ("19.0", "2.38")
    assert (found["CPU, s"], found["x 6"]) == ("3.0 (3.0 to 3.0)", "0.50")
    assert (found["rows"], found["MB sent"]) == ("1,000", "2.50")


def test_the_database_of_m3sync_counts_too() -> None:
    found = cells("\n".join(comparison(measured())), "m3sync")
    assert found["wall, s"] == "10.0 (9.0 to 11.0)"
    assert found["CPU, s"] == "6.0 (5.0 to 7.0), PostgreSQL 1.0"
    assert found["memory, MiB"] == "100 + 50"
    assert (found["x 2"], found["x 4"], found["x 6"]) == ("1.00", "1.00", "1.00")


def test_what_went_wrong_is_shown() -> None:
    text = "\n".join(comparison(measured("990 rows in place of 1000")))
    assert "**other did not do this as it should**: 990 rows in place of 1000" in text


def test_a_cell_cannot_break_its_table() -> None:
    assert list(table(["a"], [["x | y\nz"]]))[-1] == "| x / y z |"


@pytest.mark.parametrize("missing", [{}, {"lht": "no such version"}])
def test_the_page_names_command_answers_and_missing_tools(
    tmp_path: Path, missing: dict[str, str]
) -> None:
    page = Page(
        command="python benchmarks/compare.py --quick",
        measured=measured(),
        missing=missing,
        correctness={"A field is set to null": ["cleared"]},
        project={"python benchmarks/one_run.py": "1.5"},
    )
    path = tmp_path / "RESULTS.md"
    write(page, path, ["m3sync"])
    text = path.read_text()
    assert "    python benchmarks/compare.py --quick\n" in text
    assert "| A field is set to null | cleared |" in text
    assert "## `python benchmarks/one_run.py`\n\n```\n1.5\n```" in text
    assert ("lht could not be installed: no such version" in text) is bool(missing)
