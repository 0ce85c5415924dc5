import pytest
from compare import CHANGED, FIRST, UNCHANGED, cases, problem_of
from process_figures import Counts, Figures
from tools import M3SYNC, rivals, version_of


def figures(
    rows: int, code: int = 0, output: str = "{}", unknown: list[str] | None = None
) -> Figures:
    counts = Counts(
        m3ter_pages=1, salesforce_calls=1, rows=rows, bytes_sent=1, unknown=unknown or []
    )
    return Figures(1.0, 1.0, 1.0, 0.0, 0.0, counts, code, output)


@pytest.mark.parametrize(
    ("tool", "phase", "one", "expected"),
    [
        (M3SYNC, FIRST, figures(1_000), None),
        (M3SYNC, CHANGED, figures(10), None),
        (M3SYNC, UNCHANGED, figures(0), None),
        (M3SYNC, CHANGED, figures(1_000), "1000 rows in place of 10"),
        ("other", CHANGED, figures(1_000), None),
        ("other", FIRST, figures(990), "990 rows in place of 1000"),
        ("other", FIRST, figures(1_000, output='{"error": "no"}'), "exit code 0: no"),
        ("other", FIRST, figures(1_000, code=1), "exit code 1: {}"),
        ("other", FIRST, figures(1_000, unknown=["GET /x"]), "not served: ['GET /x']"),
    ],
)
def test_a_run_that_did_something_else_is_a_problem(
    tool: str, phase: str, one: Figures, expected: str | None
) -> None:
    assert problem_of([one], tool, phase, 1_000) == expected


def test_the_quick_form_has_the_same_cases_with_fewer_records() -> None:
    quick, full = (list(cases(quick=is_quick, million=False)) for is_quick in (True, False))
    assert [case.phases for case in quick] == [case.phases for case in full]
    assert sum(case.records for case in quick) < sum(case.records for case in full)


def test_a_million_accounts_are_an_option_for_m3sync_alone() -> None:
    *_, last = cases(quick=False, million=True)
    assert (last.records, last.tools) == (1_000_000, (M3SYNC,))


@pytest.mark.parametrize("tool", rivals())
def test_every_rival_has_an_exact_version(tool: str) -> None:
    assert version_of(tool)
