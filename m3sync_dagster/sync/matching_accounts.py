"""The accounts that satisfy an expression, read once and held in few bytes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.id_digests import IdDigests
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
        return account_id in self._ids[True]

    def excludes(self, account_id: str) -> bool:
        """Whether this account is listed and does not satisfy the expression.

        A list that changes while it is read page by page can lack an account. Of that one neither
        this nor ``matches`` is true.

        Raises:
            SyncError: as for ``matches``.
        """
        return account_id in self._ids[False]

    @cached_property
    def _ids(self) -> dict[bool, IdDigests]:
        """The ids, by whether the account matches."""
        found = {True: IdDigests(), False: IdDigests()}
        for account_id, matches in self._accounts():
            found[matches].add(account_id)
        return found

    def _accounts(self) -> Iterator[tuple[str, bool]]:
        for raw in chain.from_iterable(self._read()):
            try:
                account = decode_record(raw)
            except ConversionError:
                continue  # the sync of accounts reports it as invalid
            if isinstance(account, dict) and isinstance(account_id := account.get("id"), str):
                yield account_id, self._expression.matches(account)
