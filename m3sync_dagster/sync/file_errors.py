"""A file that cannot be read or written, in words: which, why, and what to do."""

import errno

from m3sync_dagster.sync.errors import SyncError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


def file_error(error: Exception) -> SyncError | None:
    """Say in words that a disk is full, or that a folder may not be used; else ``None``."""
    if not isinstance(error, OSError):
        return None
    place = f" in {error.filename}" if error.filename else ""
    if error.errno in _NO_ROOM:
        return SyncError(
            f"a file cannot be written{place} ({error.strerror})",
            "Make room on the disk, or set TMPDIR to a folder on another one.",
        )
    if error.errno in _NO_RIGHT:
        return SyncError(
            f"a file cannot be read or written{place} ({error.strerror})",
            "Give this user the right to it.",
        )
    return None
