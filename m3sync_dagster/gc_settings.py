"""Garbage-collector settings: for imports, and for building definitions of many integrations."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_WHILE_IMPORTING = (10_000, 20, 20)
_WHILE_BUILDING = (50_000, 20, 1_000_000)
"""New objects before a collection, and collections before a larger and before a full one."""


def collect_less_often() -> None:
    """Let a program import Dagster with few collections, and end with none.

    At Python's own thresholds they are a fifth of the CPU time of the imports, and find nothing.
    Until a collection, garbage may now take a few megabytes. Those at the end would take as long as
    a third of the imports, and free memory that the system takes back at once.
    """
    gc.set_threshold(*_WHILE_IMPORTING)
    atexit.register(gc.freeze)


@contextmanager
def exempt_from_collection() -> Iterator[None]:
    """Build long-lived objects with few garbage collections and no full ones, now and later.

    The definitions of many integrations are a million objects that live as long as the process.
    Full collections would traverse them again and again, which takes as long as building them.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(*_WHILE_BUILDING)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)
