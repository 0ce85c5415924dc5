from pathlib import Path

import jsforce_suites
import pytest
from outcomes import EXPECTED, problems_of, read_expected


def test_a_repository_that_is_not_reached_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsforce_suites, "FOLDER", tmp_path)
    monkeypatch.setenv(jsforce_suites.OTHER_REPOSITORY, str(tmp_path / "missing"))
    suite = jsforce_suites.jsforce_tests()
    reason = "not reached: git clone of the repository that M3SYNC_JSFORCE names: it failed"
    assert (suite.skipped, suite.passed, suite.failed) == (reason, 0, 0)
    assert problems_of(suite, read_expected(EXPECTED.read_text())[suite.name]) == []


def test_the_scripts_are_those_of_the_tests() -> None:
    folder = Path(jsforce_suites.__file__).parent / "clients" / "jsforce"
    scripts = {path.stem for path in folder.glob("*.mjs")} - {"calls"}
    assert scripts == set(jsforce_suites.SCRIPTS)
