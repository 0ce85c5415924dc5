"""Definitions are built without full garbage collections, and exempt from later ones."""

import gc

from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import DefsFolder

MOST_COLLECTIONS = 20
"""For one integration; at Python's own thresholds it is a hundred and more."""


def test_definitions_are_exempt_from_garbage_collection(defs_folder: DefsFolder) -> None:
    gc.unfreeze()
    thresholds = gc.get_threshold()
    young, _, full = (each["collections"] for each in gc.get_stats())
    loaded = defs()
    assert gc.get_stats()[2]["collections"] == full
    assert gc.get_stats()[0]["collections"] - young <= MOST_COLLECTIONS
    assert gc.get_threshold() == thresholds
    assert not any(one is loaded for one in gc.get_objects())
    assert gc.get_freeze_count()
