"""Folders for files on their way to or from Salesforce, which hold customers' data.

A process that is killed cannot delete its own, so that the next one does.
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
"""Seconds after which a folder that nobody holds was left: it is held soon after it is made."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, which lasts as long as the block; those of killed processes are deleted."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        _delete_if_left(folder)
    with TemporaryDirectory(prefix=PREFIX) as name, _held(Path(name)):
        yield Path(name)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold a folder, and tell whether nobody else does. Whatever ends a process lets go of it."""
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


def _delete_if_left(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < AGE:
            return
        with _held(folder) as left:
            if left:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # It is another user's, or has gone meanwhile.
