"""Garbage-collector settings for building definitions of many integrations."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEVER = 1_000_000


@contextmanager
def exempt_from_collection() -> Iterator[None]:
    """Build long-lived objects without full garbage collections, now and later.

    The definitions of many integrations are a million objects that live as long as the process.
    Full collections would traverse them again and again, which takes as long as building them.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)
