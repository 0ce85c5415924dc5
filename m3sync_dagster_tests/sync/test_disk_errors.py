import errno
import os

import pytest

from m3sync_dagster.sync.disk_errors import file_error

KNOWN = [
    (errno.ENOSPC, "a file cannot be written in /somewhere (No space left", "Free disk space"),
    (errno.EROFS, "cannot be read or written in /somewhere (Read-only", "Give this user"),
    (errno.EACCES, "cannot be read or written in /somewhere (Permission", "Give this user"),
]


@pytest.mark.parametrize(("number", "cause", "remedy"), KNOWN)
def test_a_file_that_cannot_be_used_is_named(number: int, cause: str, remedy: str) -> None:
    error = file_error(OSError(number, os.strerror(number), "/somewhere"))
    assert error
    assert cause in error.cause
    assert error.remedy.startswith(remedy)
    assert error.event == "integration.perform.error"


def test_a_file_without_a_name_is_not_named() -> None:
    error = file_error(OSError(errno.ENOSPC, "No space left on device"))
    assert error
    assert error.cause == "a file cannot be written (No space left on device)"


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.EPIPE, "x"), TimeoutError()])
def test_any_other_error_is_not_explained(error: Exception) -> None:
    assert file_error(error) is None
