"""The accounts that satisfy an expression, read once and held in few bytes."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

import xxhash

from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.record_decoder import decode_record


class MatchingAccounts:
    """Which accounts satisfy an expression.

    The accounts are read when the first id is looked up. An id takes 8 bytes, so that a million
    accounts take 8 MB.

    Args:
        expression: the expression.
        read: lists the accounts, as pages of JSON texts.
    """

    def __init__(
        self, expression: AccountExpression, read: Callable[[], Iterable[Sequence[bytes]]]
    ) -> None:
        self._expression = expression
        self._read = read

    def matches(self, account_id: str) -> bool:
        """Whether this account is listed and satisfies the expression.

        Raises:
            SyncError: the accounts could not be read to the end.
        """
        return _is_in(self._digests[True], account_id)

    def excludes(self, account_id: str) -> bool:
        """Whether this account is listed and does not satisfy the expression.

        A list that changes while it is read page by page can lack an account. Of that one neither
        this nor ``matches`` is true.

        Raises:
            SyncError: as for ``matches``.
        """
        return _is_in(self._digests[False], account_id)

    @cached_property
    def _digests(self) -> "dict[bool, array[int]]":
        """Digests of the ids, in ascending order, by whether the account matches."""
        found = {True: array("Q"), False: array("Q")}
        for account_id, matches in self._accounts():
            found[matches].append(_digest(account_id))
        return {matches: array("Q", sorted(digests)) for matches, digests in found.items()}

    def _accounts(self) -> Iterator[tuple[str, bool]]:
        for raw in chain.from_iterable(self._read()):
            try:
                account = decode_record(raw)
            except ConversionError:
                continue  # the sync of accounts reports it as invalid
            if isinstance(account, dict) and isinstance(account_id := account.get("id"), str):
                yield account_id, self._expression.matches(account)


def _digest(account_id: str) -> int:
    return xxhash.xxh3_64_intdigest(account_id.encode("utf-8", "surrogatepass"))


def _is_in(digests: "array[int]", account_id: str) -> bool:
    wanted = _digest(account_id)
    place = bisect_left(digests, wanted)
    return place < len(digests) and digests[place] == wanted
