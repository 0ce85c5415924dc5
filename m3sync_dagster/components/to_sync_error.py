"""Turns any exception into a ``SyncError`` with a cause and a remedy."""

import traceback

from m3sync_dagster.state import explain
from m3sync_dagster.sync.disk_errors import file_error
from m3sync_dagster.sync.errors import SyncError

_MOST = 300


def as_sync_error(error: Exception) -> SyncError:
    """Return a ``SyncError`` unchanged, and any other error as a ``SyncError`` that names it."""
    if isinstance(error, SyncError):
        return error
    if known := file_error(error) or explain(error):
        return known
    text = " ".join(str(error).split())[:_MOST]
    return SyncError(
        f"an error that m3sync does not expect stopped it ({type(error).__name__}: {text})",
        "Read its traceback in the run's log in Dagster; if it occurs again, report it with that.",
    )


def traceback_of(error: Exception) -> str:
    """The traceback of an error, for developers."""
    return "".join(traceback.format_exception(error))
