import sys
from pathlib import Path

import pytest
from node_environment import NotReachedError, checked_run


@pytest.mark.parametrize(
    ("program", "code", "reason"),
    [
        (sys.executable, "raise SystemExit(1)", "npm ci: it failed"),
        (sys.executable, "import time; time.sleep(600)", "npm ci: it took more than 1 seconds"),
        ("/no/such/program", "", "npm ci: it failed"),
    ],
)
def test_a_program_that_cannot_be_installed_is_not_reached(
    tmp_path: Path, program: str, code: str, reason: str
) -> None:
    with pytest.raises(NotReachedError, match=reason):
        checked_run(program, "-c", code, folder=tmp_path, failure="npm ci", seconds=1)


def test_a_program_runs_in_its_folder_without_input(tmp_path: Path) -> None:
    code = "import sys; open('file', 'w').write(sys.stdin.read())"
    checked_run(sys.executable, "-c", code, folder=tmp_path, failure="python")
    assert (tmp_path / "file").read_text() == ""
