"""The hours of a run in words: from the start of the first to the end of the last, in UTC."""

from datetime import datetime, timedelta

_KEY = "%Y-%m-%d-%H:%M"  # how Dagster writes the key of an hourly partition
_DAY = "%Y-%m-%d"
_TO = "–"  # noqa: RUF001 - the sign for a range


def hours_text(partition: str | None) -> str | None:
    """Describe a partition's key, or the first and the last key joined by three dots.

    A text that is neither is returned unchanged.
    """
    if partition is None:
        return None
    first, _, last = partition.partition("...")
    try:
        start = datetime.strptime(first, _KEY)  # noqa: DTZ007 - UTC by definition
        end = datetime.strptime(last or first, _KEY) + timedelta(hours=1)  # noqa: DTZ007 - likewise
    except ValueError:
        return partition
    same_day = f"{start:{_DAY}}" == f"{end - timedelta(minutes=1):{_DAY}}"
    if same_day:
        return f"{start:{_DAY} %H:%M}{_TO}{end:%H:%M} UTC"
    return f"{start:{_DAY} %H:%M} {_TO} {end:{_DAY} %H:%M} UTC"
