import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from m3sync_dagster.salesforce.temporary_files import AGE, PREFIX, temporary_folder

HOLDER = """
import sys
from m3sync_dagster.salesforce.temporary_files import temporary_folder
with temporary_folder() as folder:
    (folder / "upload.csv").write_text("a customer's data")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def age(folder: Path) -> None:
    before = folder.stat().st_mtime - AGE - 1
    os.utime(folder, (before, before))


def test_a_folder_exists_during_its_block() -> None:
    with temporary_folder() as folder:
        (folder / "file").write_text("x")
        assert folder.name.startswith(PREFIX)
    assert not folder.exists()


def test_only_folders_of_killed_processes_are_deleted() -> None:
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        age(left)
        with temporary_folder():
            assert (left / "upload.csv").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with temporary_folder():
        assert not left.exists()


def test_a_new_folder_is_not_deleted(temporary: Path) -> None:
    fresh = temporary / f"{PREFIX}fresh"
    fresh.mkdir()
    with temporary_folder():
        assert fresh.exists()


def test_other_folders_are_not_deleted(temporary: Path) -> None:
    other = temporary / "m3sync-other"
    other.mkdir()
    age(other)
    (temporary / f"{PREFIX}file").write_text("no folder")
    with temporary_folder():
        assert other.exists()
