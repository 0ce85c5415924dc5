"""A sensor daemon that dies by SIGKILL at a chosen instant of the guard's work.

Run: ``python -m m3sync_dagster_tests.guard.killed_sensor_daemon INSTANT HOME``.
"""

import os
import signal
import smtplib
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from m3sync_dagster.guard import sensor as guard
from m3sync_dagster.notifications import mail_delivery
from m3sync_dagster_tests.guard.daemon_clock import IN_THIS_PROCESS, clockwork, home

INSTANTS: dict[str, tuple[Any, str, bool]] = {
    "before anything is on record": (guard._Tick, "_write", False),
    "on record, and the schedule still runs": (guard, "stop", False),
    "the schedule is stopped, and no mail sent": (guard, "deliver", False),
    "the mail server awaits the mail": (smtplib.SMTP, "data", False),
    "the mail has left, and its server thinks about it": (mail_delivery, "handed_over", True),
    "the mail server has taken it, and we have not written so": (mail_delivery, "delivered", False),
    "one mail of two is sent": (mail_delivery, "delivered", True),
}
"""What is called at each instant, and whether death comes after the call."""


def die(work: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The work, and before or after it the end."""

    def mortal(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the work takes
        if after:
            work(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return mortal


def main(instant: str, folder: Path) -> None:
    """One iteration of the sensor daemon, which it does not survive."""
    where, name, after = INSTANTS[instant]
    setattr(where, name, die(getattr(where, name), after=after))
    with home(folder) as instance, clockwork(instance, IN_THIS_PROCESS, datetime.now(UTC)) as works:
        works.sense()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
