"""Messages for a file that cannot be read or written."""

import errno

from m3sync_dagster.sync.errors import SyncError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}


def file_error(error: Exception) -> SyncError | None:
    """Explain a full disk or a missing right to a folder; ``None`` for other errors."""
    if not isinstance(error, OSError):
        return None
    place = f" in {error.filename}" if error.filename else ""
    if error.errno in _DISK_FULL:
        return SyncError(
            f"a file cannot be written{place} ({error.strerror})",
            "Free disk space, or set TMPDIR to a folder on another disk.",
        )
    if error.errno in _NOT_PERMITTED:
        return SyncError(
            f"a file cannot be read or written{place} ({error.strerror})",
            "Give this user permission to use it.",
        )
    return None
