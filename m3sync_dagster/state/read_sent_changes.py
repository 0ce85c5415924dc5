"""Reading the history of what was sent for a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import set_json_loads

from m3sync_dagster.state.sent_changes import ACCEPTED

MOST = 100
"""Rows that are read for a record."""
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode

Values = Mapping[Literal["before", "after"], object]
"""The values of a changed field; no ``before``: it is not known; ``None``: no value."""

_CHANGES = """
SELECT time, action, answer, salesforce_id, run_id, changes, masked
FROM m3sync.sent_change WHERE integration = %s AND entity = %s AND m3ter_id = %s
ORDER BY time DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class SentChange:
    """A row that was sent, and Salesforce's answer.

    Args:
        time: when the answer was recorded.
        action: ``created``, ``updated``, ``rejected``, ``flagged`` or ``deleted``.
        answer: ``accepted``, or the code with which Salesforce rejected it.
        salesforce_id: the record's Id; ``None``: it is not in Salesforce.
        run_id: the run that read the answer; empty: no run, but ``m3sync verify --repair``.
        changes: each field that has changed, with its values; ``None``: they are not stored.
        masked: fields whose values are not stored, so that it is not known whether they changed.
    """

    time: datetime
    action: str
    answer: str
    salesforce_id: str | None
    run_id: str
    changes: Mapping[str, Values] | None
    masked: list[str] | None

    @property
    def accepted(self) -> bool:
        """Whether Salesforce has accepted the row."""
        return self.answer == ACCEPTED


def read_sent_changes(connection: psycopg.Connection, *record: str) -> list[SentChange]:
    """Read the newest ``MOST`` rows that were sent for a record, the newest first.

    Args:
        connection: to our tables.
        record: integration, entity and m3ter id.
    """
    with connection.cursor(row_factory=class_row(SentChange)) as cursor:
        set_json_loads(_DECODE, cursor)  # every digit of a number
        return cursor.execute(_CHANGES, [*record, MOST]).fetchall()
