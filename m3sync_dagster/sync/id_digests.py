"""A set of ids of any number in little memory: 8 bytes for each."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

import xxhash


class IdDigests:
    """The ids, as digests of 64 bits.

    Args:
        ids: read once.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        digests = array("Q", (xxhash.xxh3_64_intdigest(one) for one in ids))
        self._digests = array("Q", sorted(digests))

    def __contains__(self, one: object) -> bool:
        digest = xxhash.xxh3_64_intdigest(str(one))
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest
