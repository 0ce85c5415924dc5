"""What ``make audit`` says of the output of pip-audit."""

import json
from pathlib import Path
from typing import Any

import pytest

from m3sync_dagster_tests.security.audit_dependencies import FOUND, NOT_AUDITED, main, verdict

FINE: dict[str, Any] = {"name": "lark", "version": "1.3.1", "vulns": []}
KNOWN = {"id": "PYSEC-2025-49", "fix_versions": ["78.1.1"], "aliases": [], "description": "…"}
UNFIXED = {"id": "GHSA-0000", "fix_versions": [], "aliases": [], "description": "…"}
OLD = {"name": "setuptools", "version": "65.5.0", "vulns": [KNOWN, UNFIXED]}
SKIPPED = {"name": "uv", "skip_reason": "Dependency not found on PyPI and could not be audited: uv"}
NO_DATA = "NOT AUDITED: no data could be reached for {} of {} libraries: {}. Run make audit where"


@pytest.mark.parametrize(
    ("libraries", "code", "lines"),
    [
        ([FINE], 0, ["No vulnerability is known of the 1 libraries in constraints.txt."]),
        (
            [FINE, OLD],
            FOUND,
            [
                "setuptools 65.5.0: PYSEC-2025-49, fixed in 78.1.1",
                "setuptools 65.5.0: GHSA-0000, fixed in no version yet",
            ],
        ),
        ([FINE, SKIPPED], NOT_AUDITED, [NO_DATA.format(1, 2, "uv")]),
        ([OLD, SKIPPED], NOT_AUDITED, ["setuptools 65.5.0: PYSEC", "setuptools", "NOT AUDITED"]),
        ([SKIPPED] * 6, NOT_AUDITED, [NO_DATA.format(6, 6, "uv, uv, uv, uv, uv, …")]),
        ([], NOT_AUDITED, ["NOT AUDITED"]),
    ],
)
def test_only_a_library_with_data_counts_as_audited(
    libraries: list[dict[str, Any]], code: int, lines: list[str]
) -> None:
    found, said = verdict(json.dumps({"dependencies": libraries, "fixes": []}))
    assert found == code
    assert len(said) == len(lines)
    assert all(line.startswith(begin) for line, begin in zip(said, lines, strict=True)), said


@pytest.mark.parametrize("text", ["", "Traceback", "[]", "{}"])
def test_without_an_answer_nothing_is_audited(text: str) -> None:
    code, (line,) = verdict(text)
    assert code == NOT_AUDITED
    assert line.startswith("NOT AUDITED")


def test_the_last_line_of_an_error_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho Traceback >&2\necho no route to the data >&2\nexit 1\n")
    program.chmod(0o755)
    assert main(str(program)) == NOT_AUDITED
    assert capsys.readouterr().out.splitlines()[0] == "no route to the data"
