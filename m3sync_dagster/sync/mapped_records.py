"""What becomes of a m3ter record on its way to a row."""

from dataclasses import dataclass

from m3sync_dagster.sync.record_fields import Record
from m3sync_dagster.sync.row_results import Rejected
from m3sync_dagster.sync.row_types import Value

INVALID_RECORD = "M3SYNC_INVALID_RECORD"
"""Code of a record that cannot be read or has no usable id."""
INVALID_VALUE = "M3SYNC_INVALID_VALUE"
"""Code of a row with a value that does not fit its field."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record in scope, with its usable id; ``final`` as in ``Mapped``."""

    m3ter_id: str
    record: Record
    final: bool


@dataclass(frozen=True, slots=True)
class Mapped:
    """A record that was mapped to a row.

    Args:
        m3ter_id: the record.
        values: one for each of the mapping's fields, then its constants.
        final: whether m3ter will no longer recalculate it; a record that is not final is synced
            only if it is already in Salesforce.
    """

    m3ter_id: str
    values: list[Value]
    final: bool = True


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A record that cannot be mapped, and why; ``final`` as in ``Mapped``."""

    rejected: Rejected
    final: bool = True
