"""What nobody has foreseen, in the words of an error that we know: what happened, what to do."""

import errno
import traceback

from m3sync_dagster.sync.errors import SyncError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
_MOST = 300


def as_sync_error(error: Exception) -> SyncError:
    """Give an error of ours as it is, and any other as one of ours that names it."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM | _NO_RIGHT:
        return _file_error(error)
    text = " ".join(str(error).split())[:_MOST]
    return SyncError(
        f"an error that m3sync does not expect stopped it ({type(error).__name__}: {text})",
        "Read its traceback in the run's log in Dagster; if it comes again, report it with that.",
    )


def traceback_of(error: Exception) -> str:
    """The traceback of an error, for developers."""
    return "".join(traceback.format_exception(error))


def _file_error(error: OSError) -> SyncError:
    place = f" in {error.filename}" if error.filename else ""
    remedy = "Let this user write there, or set TMPDIR to a folder in which it may."
    if error.errno in _NO_ROOM:
        remedy = "Make room on the disk, or set TMPDIR to a folder on another one."
    return SyncError(f"a file cannot be written{place} ({error.strerror})", remedy)
