"""Ends a command that serves something at Ctrl-C or another signal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # Windows has none
    _SIGNALS.append(signal.SIGHUP)


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that is set when the process receives a signal to end.

    The signals raise nothing, so the block can always stop what it has started. After one of them
    the process ends. Further ones are ignored, so that they interrupt nothing at its exit.
    """
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in _SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopped.is_set() else handler)
