"""Which accounts an entity's records may belong to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """The accounts whose records are carried.

    Args:
        allowed: m3ter account ids; empty for every account.
        restricted: accounts left out; this list wins over ``allowed``.
    """

    allowed: frozenset[str] = frozenset()
    restricted: frozenset[str] = frozenset()

    def admits(self, account_id: object) -> bool:
        """Tell whether records of this account are carried.

        A record that names no account belongs to none that was asked for or left out, so it is
        carried only where every account is.
        """
        if not isinstance(account_id, str):
            return not self.allowed
        return account_id not in self.restricted and (
            not self.allowed or account_id in self.allowed
        )

    def fetchable(self) -> list[str] | None:
        """The accounts to ask m3ter for, in a stable order; ``None`` for all of them.

        A list that is empty says that nothing is in scope: every allowed account is restricted.
        """
        return sorted(self.allowed - self.restricted) if self.allowed else None
