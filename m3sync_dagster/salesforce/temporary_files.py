"""Temporary folders for uploads and results, which contain customers' data.

A killed process cannot delete its folder, so the next process does.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from m3sync_dagster.sync.errors import SyncError

PREFIX = "m3sync-files-"
AGE = 60 * 60
"""Age in seconds before which a folder without a lock is kept: it may not be locked yet."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for the block, deleted at its end; deletes folders of killed processes too.

    Raises:
        SyncError: no folder for temporary files can be written.
    """
    for folder in _place().glob(f"{PREFIX}*"):
        _delete_if_abandoned(folder)
    with TemporaryDirectory(prefix=PREFIX) as name, _locked(Path(name)):
        yield Path(name)


def _place() -> Path:
    """The folder of all temporary files. Python finds one by writing a small file."""
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        raise SyncError(
            f"there is no folder for temporary files that can be written ({error.strerror})",
            "Free disk space, or set TMPDIR to a folder that this user may write.",
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Try to lock a folder, and give whether that succeeded. The lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        # Another process has locked it; or it is on a network drive without locks, and then no
        # process deletes what another one has left.
        return False
    return True


def _delete_if_abandoned(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < AGE:
            return
        with _locked(folder) as locked:
            if locked:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # It belongs to another user, or was deleted meanwhile.
