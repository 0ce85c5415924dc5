"""Pages of a list in a temporary file, in the order in which they were read."""

import io
import os
import struct
from collections.abc import Sequence
from functools import cached_property
from tempfile import TemporaryFile

import msgspec

MOST_BYTES = 128 * 2**20
"""The largest file: about 100,000 records. All files of a run fit into a container's /tmp."""
LEFT_FREE = 256 * 2**20
"""Bytes of the disk that are left to others, such as the database."""

_LENGTH = struct.Struct(">Q")
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[bytes]).decode


class PageSpool:
    """Stores pages in a file, first in, first out. Not for several threads at once.

    The file has no name, so that it disappears with the process, even a killed one. When all pages
    were read, it is written from its beginning again, so a list may be longer than the file.

    Args:
        most_bytes: the largest file.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._start = 0
        self._end = 0

    @property
    def unread(self) -> bool:
        """Whether a stored page was not read yet."""
        return self._start < self._end

    def append(self, page: Sequence[bytes]) -> bool:
        """Store a page, and return whether there was space for it."""
        body = _ENCODE(page)
        framed = _LENGTH.pack(len(body)) + body
        try:
            if self._end + len(framed) > self._most_bytes or self._free() < LEFT_FREE:
                return False
            self._write(framed)
        except OSError:  # the disk is full, or there is no folder that may be written
            return False
        self._end += len(framed)
        return True

    def read(self) -> Sequence[bytes]:
        """Read the next page; there must be an unread one."""
        (length,) = _LENGTH.unpack(self._bytes(_LENGTH.size))
        page = _DECODE(self._bytes(length))
        if not self.unread:
            self._start = self._end = 0
        return page

    def close(self) -> None:
        """Delete the file and all pages."""
        if "_file" in self.__dict__:
            self._file.close()

    @cached_property
    def _file(self) -> io.FileIO:
        """The file, without a buffer: a full disk refuses a page when it is written."""
        return TemporaryFile(buffering=0)

    def _free(self) -> int:
        disk = os.fstatvfs(self._file.fileno())
        return disk.f_bavail * disk.f_frsize

    def _write(self, framed: bytes) -> None:
        self._file.seek(self._end)
        left = memoryview(framed)
        while left:
            left = left[self._file.write(left) :]

    def _bytes(self, length: int) -> bytes:
        self._file.seek(self._start)
        self._start += length
        return self._file.read(length)
