"""Which accounts an entity's records may belong to."""

from dataclasses import dataclass

from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.matching_accounts import MatchingAccounts


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """The accounts whose records are synced.

    Args:
        allowed: m3ter account ids; empty for every account.
        restricted: accounts left out; this list wins over ``allowed``.
        expression: what an account has to satisfy besides; ``None``: nothing.
        matching: which accounts satisfy the expression, as m3ter has them now; ``None`` until a
            source was asked, see ``with_scope_of``.
    """

    allowed: frozenset[str] = frozenset()
    restricted: frozenset[str] = frozenset()
    expression: AccountExpression | None = None
    matching: MatchingAccounts | None = None

    def admits(self, account_id: object) -> bool:
        """Whether records of this account are in scope.

        A record without an account is in scope only if ``allowed`` is empty and there is no
        expression.

        Raises:
            SyncError: the accounts could not be read, which an expression needs.
        """
        if not isinstance(account_id, str):
            return not self.allowed and self.expression is None
        return self._is_listed(account_id) and self._matches(account_id)

    def admits_parent(self, account_id: str) -> bool:
        """Whether an account may be linked to as the parent of another one.

        One that m3ter's list does not have may be. It may have been deleted, or the list may lack
        it by chance: then a link that is right must not be removed.

        Raises:
            SyncError: as for ``admits``.
        """
        if not self._is_listed(account_id):
            return False
        return self.expression is None or not self._accounts.excludes(account_id)

    def admits_unlisted(self, account_id: str) -> bool | None:
        """Whether records of an account are in scope that m3ter may no longer have.

        Returns:
            ``None`` where that is not known: the account may not satisfy the expression, or may
            have been deleted in m3ter.

        Raises:
            SyncError: as for ``admits``.
        """
        if not self._is_listed(account_id):
            return False
        return self._matches(account_id) or None

    def fetchable(self) -> list[str] | None:
        """The accounts to request from m3ter, in a stable order; ``None`` for all of them.

        An empty list means that nothing is in scope: every allowed account is restricted.
        """
        return sorted(self.allowed - self.restricted) if self.allowed else None

    def _is_listed(self, account_id: str) -> bool:
        return account_id not in self.restricted and (
            not self.allowed or account_id in self.allowed
        )

    def _matches(self, account_id: str) -> bool:
        return self.expression is None or self._accounts.matches(account_id)

    @property
    def _accounts(self) -> MatchingAccounts:
        if self.matching is None:
            raise ValueError("which accounts satisfy the expression was not read")
        return self.matching
