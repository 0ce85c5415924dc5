"""For how many days something is kept, as an environment variable says."""

import os

from m3sync_dagster.sync.errors import ConfigurationError


def read_days(variable: str, default: int, least: int, most: int) -> int:
    """The number of days in a variable; ``default`` if it is unset.

    Raises:
        ConfigurationError: it has no valid value.
    """
    given = os.environ.get(variable, "").strip() or str(default)
    if not given.isdecimal() or not least <= int(given) <= most:
        raise ConfigurationError(
            f"{variable} is {given!r}, and not a number of days from {least} to {most}",
            f"Set it to a whole number from {least} to {most}, or unset it for {default} days.",
        )
    return int(given)
