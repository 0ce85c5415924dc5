"""A failed step as Dagster shows it: cause, remedy and links, without a stack trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

_LIMIT = "tracebacklimit"


class SyncFailure(dg.Failure):
    """What is wrong and what to do. Dagster shows the name of this class before the text."""


# Dagster shows the name with its module.
SyncFailure.__module__ = "m3sync"


@contextmanager
def without_stack_traces() -> Iterator[None]:
    """Let Dagster record an error without its stack trace, as long as the block lasts.

    Dagster adds a trace of its own calls to each error that ends a step, ``dg.Failure`` included,
    and has no setting against it. Python's ``sys.tracebacklimit`` is one, for the whole process.
    Source: Python documentation, "sys.tracebacklimit"; Dagster 1.13,
    ``step_failure_event_from_exc_info``.
    """
    before = vars(sys).get(_LIMIT)
    sys.tracebacklimit = 0
    try:
        yield
    finally:
        del sys.tracebacklimit
        if before is not None:
            sys.tracebacklimit = before
