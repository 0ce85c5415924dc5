"""An integration as the guard watches it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import dagster as dg


class Person(Protocol):
    """Somebody who is told: m3ter's id, a name, and an address unless m3ter has none."""

    @property
    def id(self) -> str:
        """m3ter's id of the user."""
        ...

    @property
    def name(self) -> str:
        """What to call them."""
        ...

    @property
    def email(self) -> str | None:
        """Where mail reaches them."""
        ...


class Directory(Protocol):
    """Where people's addresses are looked up."""

    def users(self, ids: Sequence[str]) -> Iterable[Person]:
        """Look up the users with these ids. One that is not known is left out.

        Raises:
            SyncError: the directory could not be asked.
        """
        ...


OpenDirectory = Callable[[], AbstractContextManager[Directory]]


@dataclass(frozen=True, slots=True)
class GuardedIntegration:
    """An integration, as far as the guard has to know it.

    Args:
        name: the integration's.
        schedule: its schedule's name.
        assets: its assets, on which the UI shows what becomes of it.
        notify: m3ter ids of the users who are told.
        directory: opens the m3ter organization that these users belong to.
    """

    name: str
    schedule: str
    assets: tuple[dg.AssetKey, ...]
    notify: tuple[str, ...]
    directory: OpenDirectory
