"""Ids and times as m3ter writes them."""

import random
from datetime import datetime
from uuid import UUID


def random_uuid(rng: random.Random) -> str:
    """A random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def utc_text(moment: datetime) -> str:
    """A UTC time in ISO 8601 with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
