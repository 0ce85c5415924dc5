"""A set of ids of any number in little memory: 8 bytes for each."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

import xxhash


class IdDigests:
    """The ids, as digests of 64 bits, which are sorted when the first id is looked up.

    Args:
        ids: the first of them; read once.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._digests = array("Q", map(_digest, ids))
        self._is_sorted = False

    def add(self, one: str) -> None:
        """Add an id."""
        self._digests.append(_digest(one))
        self._is_sorted = False

    def __contains__(self, one: str) -> bool:
        if not self._is_sorted:
            self._digests = array("Q", sorted(self._digests))
            self._is_sorted = True
        digest = _digest(one)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def _digest(one: str) -> int:
    return xxhash.xxh3_64_intdigest(one.encode("utf-8", "surrogatepass"))
