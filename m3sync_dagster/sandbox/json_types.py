"""Types for JSON."""

from typing import Any

Json = Any
"""A value as a JSON decoder returns it; the code that reads it checks its type."""

JsonObject = dict[str, Json]
