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

PREFIX = "m3sync-files-"
AGE = 60 * 60
"""Age in seconds before which a folder without a lock is kept: it may not be locked yet."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for the block, deleted at its end; deletes folders of killed processes too."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        _delete_if_abandoned(folder)
    with TemporaryDirectory(prefix=PREFIX) as name, _locked(Path(name)):
        yield Path(name)


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
    except BlockingIOError:
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
