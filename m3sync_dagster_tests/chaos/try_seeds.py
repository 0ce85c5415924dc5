"""Plays the arbitrary history of a seed. Of one that fails, the shortest that fails is found."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from m3sync_dagster_tests.chaos.history import History, Hour
from m3sync_dagster_tests.model.ways import Undisturbed

Play = Callable[[History], None]
"""Plays a history, and raises an error if it fails."""
MOST_ATTEMPTS = 150
"""Histories that are played to find a shorter one."""
_SETTINGS = settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Of two examples the first is the same for all seeds: the simplest."""


def history_of(number: int, possible: st.SearchStrategy[History]) -> History:
    """The history of a seed, always the same one.

    Args:
        number: the seed.
        possible: which ones there are.
    """
    drawn: list[History] = []

    @seed(number)
    @_SETTINGS
    @given(possible)
    def draw(history: History) -> None:
        drawn.append(history)

    draw()
    return drawn[-1]


def try_seed(number: int, possible: st.SearchStrategy[History], play: Play) -> None:
    """Play the history of a seed.

    Raises:
        Exception: that of ``play`` for the shortest history that fails; its notes show it.
    """
    history = history_of(number, possible)
    try:
        play(history)
    except Exception as error:  # noqa: BLE001 - raised in the end
        failed, shortest_error = shortest(history, error, play)
        shortest_error.add_note(f"The shortest history that fails: {failed}")
        shortest_error.add_note(f"Repeat it with: make chaos HOURS=1 SEED={number}")
        raise shortest_error from None


def shortest(history: History, error: Exception, play: Play) -> tuple[History, Exception]:
    """Leave out of a history that fails whatever it fails without; gives the error too."""
    left = MOST_ATTEMPTS
    found = True
    while found:
        found = False
        for smaller in _smaller(history):
            if left == 0:
                return history, error
            left -= 1
            try:
                play(smaller)
            except Exception as failure:  # noqa: BLE001 - raised in the end
                history, error, found = smaller, failure, True
                break
    return history, error


def _smaller(history: History) -> Iterator[History]:
    """Histories that lack hours, then changes, then faults."""
    hours, size = history.hours, len(history.hours)
    while size := size // 2:
        for begin in range(0, len(hours), size):
            yield replace(history, hours=hours[:begin] + hours[begin + size :])
    for number, hour in enumerate(hours):
        for simpler in _simpler(hour):
            yield replace(history, hours=[*hours[:number], simpler, *hours[number + 1 :]])


def _simpler(hour: Hour) -> Iterator[Hour]:
    changes = hour.changes
    for number in range(len(changes)):
        yield replace(hour, changes=changes[:number] + changes[number + 1 :])
    if not isinstance(hour.fault, Undisturbed):
        yield replace(hour, fault=Undisturbed())
    if hour.taken_back:
        yield replace(hour, taken_back=False)
    if hour.full:
        yield replace(hour, full=False)
