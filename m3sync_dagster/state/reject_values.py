"""The values of a rejected row, as they are stored."""

from psycopg.types.json import Jsonb

from m3sync_dagster.sync.row_results import RefusedRecord, Rejected

LONGEST_MESSAGE = 2_000
"""Characters of a message that are stored: Salesforce repeats the rejected value in it."""


def reject_values(row: Rejected) -> dict[str, object]:
    """The values by column; the refused values are JSON."""
    record = row.record or RefusedRecord()
    refused = {name: value and _storable(value) for name, value in record.refused.items()}
    return {
        "m3ter_id": row.m3ter_id,
        "class": row.error_class.value,
        "code": row.code,
        "message": _storable(row.message),
        "fields": list(row.fields),
        "record_name": record.name and _storable(record.name),
        "record_code": record.code and _storable(record.code),
        "refused": Jsonb(refused) if refused else None,
    }


def _storable(message: str) -> str:
    """A message as PostgreSQL can store it: cut, and without the NUL character."""
    return message.replace("\0", "\ufffd")[:LONGEST_MESSAGE]
