"""Finding the Salesforce Ids of records by the values of one field, in few calls."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from m3sync_dagster.salesforce.soql import ids_query
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.salesforce_ids import full_id

_ESCAPED = re.compile(r"[\\'\"\n\r\t\b\f]")
"""Characters that get a backslash in a query. Source: SOQL and SOSL Reference."""
MOST_BYTES = 12_000
"""Bytes of the values in one query's URL. Salesforce accepts 16,384 with the headers.

Source: Salesforce Developer Limits and Allocations Quick Reference, "API Requests".
"""


def find_ids(
    transport: Transport, object_name: str, field: str, values: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Find the records with these values; a value that no record has is left out.

    Salesforce ignores case when it compares texts. Only a record with exactly the value counts.

    Args:
        transport: the org.
        object_name: API name of the object.
        field: API name of the field.
        values: what is looked for.

    Raises:
        SyncError: Salesforce could not be reached, or refused.
    """
    found: dict[str, list[str]] = {}
    wanted = set(values)
    for chunk in _chunks(values):
        for record in _records(transport, ids_query(object_name, field, chunk)):
            value, salesforce_id = record.get(field), full_id(record.get("Id"), object_name)
            if isinstance(value, str) and value in wanted and salesforce_id:
                found.setdefault(value, []).append(salesforce_id)
    return found


def _records(transport: Transport, soql: str) -> Iterator[Mapping[str, object]]:
    client = transport.client()
    page = client.query(soql)
    yield from page["records"]
    while not page["done"]:
        page = client.query_more(page["nextRecordsUrl"], identifier_is_url=True)
        yield from page["records"]


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    """As many values as fit into one URL, in which a quote or a letter like ü takes more bytes."""
    chunk: list[str] = []
    size = 0
    for value in values:
        length = len(quote(f"'{value}',", safe="")) + 3 * len(_ESCAPED.findall(value))
        if chunk and size + length > MOST_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(value)
        size += length
    if chunk:
        yield chunk
