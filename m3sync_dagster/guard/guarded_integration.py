"""An integration as the guard watches it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import dagster as dg

from m3sync_dagster.guard.health_policy import RejectLimit


class Person(Protocol):
    """A user who is notified: m3ter's id, a name, and an address unless m3ter has none."""

    @property
    def id(self) -> str:
        """m3ter's id of the user."""
        ...

    @property
    def name(self) -> str:
        """What to call the user."""
        ...

    @property
    def email(self) -> str | None:
        """The mail address."""
        ...


class Directory(Protocol):
    """Looks up users' addresses."""

    def users(self, ids: Sequence[str]) -> Iterable[Person]:
        """Look up the users with these ids. One that is not known is left out.

        Raises:
            SyncError: the directory could not be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class UserDirectory:
    """The users of one m3ter organization.

    Args:
        credential: the name of the m3ter credential that opens it. Integrations with the same
            credential share one look-up.
        open: opens it.
    """

    credential: str
    open: Callable[[], AbstractContextManager[Directory]]


@dataclass(frozen=True, slots=True)
class GuardedIntegration:
    """An integration, as far as the guard has to know it.

    Args:
        name: the integration's.
        schedule: its schedule's name.
        assets: its assets, on which the UI shows changes of its state.
        notify: m3ter ids of the users who are notified.
        directory: the m3ter organization that these users belong to.
        other_users: m3ter ids of further users who are notified, also of rejected rows.
        urls_env: the environment variable with the URLs of channels of this integration.
        reject_limit: how many rejected rows people are notified of; ``None``: of none.
    """

    name: str
    schedule: str
    assets: tuple[dg.AssetKey, ...]
    notify: tuple[str, ...]
    directory: UserDirectory
    other_users: tuple[str, ...] = ()
    urls_env: str | None = None
    reject_limit: RejectLimit | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """m3ter ids of all users who are notified of something."""
        return tuple(dict.fromkeys((*self.notify, *self.other_users)))
