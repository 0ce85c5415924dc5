"""Which accounts an entity's records may belong to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """The accounts whose records are synced.

    Args:
        allowed: m3ter account ids; empty for every account.
        restricted: accounts left out; this list wins over ``allowed``.
    """

    allowed: frozenset[str] = frozenset()
    restricted: frozenset[str] = frozenset()

    def admits(self, account_id: object) -> bool:
        """Whether records of this account are in scope.

        A record without an account is in scope only if ``allowed`` is empty.
        """
        if not isinstance(account_id, str):
            return not self.allowed
        return account_id not in self.restricted and (
            not self.allowed or account_id in self.allowed
        )

    def fetchable(self) -> list[str] | None:
        """The accounts to request from m3ter, in a stable order; ``None`` for all of them.

        An empty list means that nothing is in scope: every allowed account is restricted.
        """
        return sorted(self.allowed - self.restricted) if self.allowed else None
