"""Garbage-collector settings for building definitions of many integrations."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_WHILE_BUILDING = (50_000, 20, 1_000_000)
"""New objects before a collection, and collections before a larger and before a full one."""


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
