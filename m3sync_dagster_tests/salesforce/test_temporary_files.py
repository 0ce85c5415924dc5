import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from m3sync_dagster.salesforce.temporary_files import AGE, PREFIX, temporary_folder
from m3sync_dagster.sync.errors import SyncError

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


def test_no_other_user_can_read_a_folder() -> None:
    with temporary_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_that_another_user_has_made_is_not_followed(temporary: Path) -> None:
    data = temporary / "data"
    data.mkdir()
    (data / "file").write_text("x")
    (temporary / f"{PREFIX}link").symlink_to(data)
    age(data)
    with temporary_folder():
        pass
    assert (data / "file").exists()


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


def test_a_drive_without_locks_can_be_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    left = temporary / f"{PREFIX}left"
    left.mkdir()
    age(left)
    with temporary_folder() as folder:
        (folder / "file").write_text("x")
    assert left.exists()  # it may be that of a live process


def test_no_place_for_temporary_files_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a full disk, Python cannot write the file by which it finds the folder."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(SyncError, match="no folder for temporary files") as caught:
            temporary_folder().__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "TMPDIR" in caught.value.remedy


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
