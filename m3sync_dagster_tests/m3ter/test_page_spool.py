"""Pages in a temporary file: order, limits, and disks without space."""

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from m3sync_dagster.m3ter import page_spool
from m3sync_dagster.m3ter.page_spool import PageSpool

PAGES = [[b'{"id":"1"}', b'{"id":"2"}'], [], [b"\xff\x00 no JSON"], [b"x" * 70_000]]


def test_pages_are_read_as_they_were_stored_also_while_others_are_stored() -> None:
    with closing(PageSpool()) as spool:
        assert not spool.unread
        assert spool.append(PAGES[0])
        assert spool.append(PAGES[1])
        read = [spool.read()]
        assert all(spool.append(page) for page in PAGES[2:])
        while spool.unread:
            read.append(spool.read())
    assert read == PAGES


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nobody has to delete it after a process that was killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(PageSpool()) as spool:
        assert spool.append(PAGES[0])
        assert list(tmp_path.iterdir()) == []


def test_a_file_does_not_grow_beyond_its_limit() -> None:
    with closing(PageSpool(most_bytes=1_000)) as spool:
        assert spool.append([b"x" * 900])
        assert not spool.append([b"x" * 100])
        assert spool.read() == [b"x" * 900]
        assert not spool.unread


def test_more_pages_than_the_file_holds_are_stored_if_they_are_read_meanwhile() -> None:
    pages = [[b"%d" % number * 200] for number in range(20)]
    with closing(PageSpool(most_bytes=1_000)) as spool:
        for page in pages:
            assert spool.append(page)
            assert spool.read() == page


def test_space_is_left_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = os.statvfs(tempfile.gettempdir())
    monkeypatch.setattr(page_spool, "LEFT_FREE", disk.f_blocks * disk.f_frsize + 1)
    with closing(PageSpool()) as spool:
        assert not spool.append(PAGES[0])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Every file of this process is full at this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_what_was_stored() -> None:
    with closing(PageSpool()) as spool, files_of_at_most(100_000):
        assert spool.append(PAGES[3])
        assert not spool.append(PAGES[3])
        assert spool.read() == PAGES[3]
        assert not spool.unread


@pytest.mark.parametrize("folder", [lambda path: path / "missing", lambda _: Path("/proc")])
def test_without_a_folder_for_temporary_files_nothing_is_stored(
    folder: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder(tmp_path)))
    with closing(PageSpool()) as spool:
        assert not spool.append(PAGES[0])
        assert not spool.unread


def test_a_file_that_was_cut_is_an_error_and_not_the_end() -> None:
    with closing(PageSpool()) as spool:
        assert spool.append(PAGES[0])
        spool._file.truncate(12)
        assert spool.unread
        with pytest.raises(ValueError, match="truncated"):
            spool.read()
