"""Until Ctrl-C: how the commands that serve something come to their end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # Windows has none
    _SIGNALS.append(signal.SIGHUP)


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that is set when a person or a supervisor asks the process to end.

    The signals interrupt nothing, so that what the block has started is always cleared away.
    """
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in _SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
