"""Few rows: sObject Collections, 200 rows a call.

A target that only updates is written by the records' Ids: ``updateOnly`` is documented for an
upsert of one record alone.

Sources: REST API Developer Guide, "Upsert Multiple Records with Collections", "Update Multiple
Records with Fewer Round-Trips" and "Insert or Update (Upsert) a Record Using an External ID".
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from decimal import Decimal
from itertools import islice
from queue import SimpleQueue

import msgspec

from m3sync_dagster.salesforce.collection_results import CollectionResult, pair_results
from m3sync_dagster.salesforce.error_classification import ApiError, UnreadableBodyError
from m3sync_dagster.salesforce.retry import ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.salesforce.value_text import line_ends, plain
from m3sync_dagster.sync.row_results import RowResult
from m3sync_dagster.sync.row_types import Column, Group, Row, Target, Value

MOST_ROWS = 200
"""Most rows of a call."""
BLOCK = 2_000
"""Rows in memory at a time; a multiple of ``MOST_ROWS``, so that every call is full."""
FEWER_ROWS = 50
"""Rows of a call that retries rows after a lock."""
WORKERS = 4
CallSequence = list[list[Row]]


def upsert(
    transport: Transport, target: Target, group: Group, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[RowResult]]:
    """Send the rows of a group, and retry those with a temporary error.

    Of rows with the same external ID the last one is sent.

    Raises:
        SyncError: a call failed as a whole, or had no response.
    """
    rows = iter(group.rows)
    while block := {row.m3ter_id: row for row in islice(rows, BLOCK)}:
        yield from _upsert_block(transport, target, list(block.values()), group, sleep)


def _upsert_block(
    transport: Transport,
    target: Target,
    rows: list[Row],
    group: Group,
    sleep: Callable[[float], None],
) -> Iterator[list[RowResult]]:
    size = FEWER_ROWS if group.tries else MOST_ROWS
    for failures in range(1, ROWS.attempts):
        retried: set[str] = set()
        for results in _send_sequences(transport, target, split_calls(rows, group.parent, size)):
            again = {result.m3ter_id for result in results if ROWS.retried(result)}
            retried |= again
            yield [result for result in results if result.m3ter_id not in again]
        if not retried:
            return
        rows, size = [row for row in rows if row.m3ter_id in retried], FEWER_ROWS
        sleep(ROWS.delay(failures))
    yield from _send_sequences(transport, target, split_calls(rows, group.parent, size))


def split_calls(rows: Sequence[Row], parent: int | None, size: int) -> list[CallSequence]:
    """Split rows into calls, and the calls into sequences that may run at the same time.

    Salesforce locks a row's parent while it writes the row. So calls with children of the same
    parent are in one sequence, and are sent one after the other.

    Args:
        rows: sorted by parent.
        parent: position of the parent in a row's values; ``None`` where rows have none.
        size: rows of a call.
    """
    found: list[CallSequence] = []
    for start in range(0, len(rows), size):
        shared = (
            parent is not None
            and start > 0
            and (
                rows[start].values[parent] is not None
                and rows[start].values[parent] == rows[start - 1].values[parent]
            )
        )
        sequence = found[-1] if shared else []
        if not shared:
            found.append(sequence)
        sequence.append(list(rows[start : start + size]))
    return found


def _send_sequences(
    transport: Transport, target: Target, found: list[CallSequence]
) -> Iterator[list[RowResult]]:
    """Send sequences in parallel; after a failure, still yield the results that have arrived."""
    finished: SimpleQueue[list[RowResult]] = SimpleQueue()
    failure: BaseException | None = None
    with ThreadPoolExecutor(WORKERS, "salesforce") as pool:
        futures = [
            pool.submit(_send_sequence, transport, target, sequence, finished) for sequence in found
        ]
        try:
            for future in as_completed(futures):
                if not future.cancelled() and (error := future.exception()):
                    failure = failure or error
                    _cancel(futures)
                while not finished.empty():
                    yield finished.get()
        finally:
            _cancel(futures)
    if failure:
        raise failure


def _cancel(futures: list[Future[None]]) -> None:
    for future in futures:
        future.cancel()


def _send_sequence(
    transport: Transport,
    target: Target,
    sequence: CallSequence,
    finished: SimpleQueue[list[RowResult]],
) -> None:
    for rows in sequence:
        transport.check_quota()
        finished.put(_send(transport, target, rows))


def _send(transport: Transport, target: Target, rows: list[Row]) -> list[RowResult]:
    """Send one call; if Salesforce cannot parse a value, send each half, down to single rows.

    Salesforce rejects the whole call if it cannot parse one value as the field's type.
    """
    try:
        results = transport.fetch(
            "PATCH",
            _path(target),
            list[CollectionResult],
            data=body(target, rows),
            headers={"Content-Type": "application/json"},
        )
    except UnreadableBodyError as error:
        if len(rows) == 1:
            return [ApiError("JSON_PARSER_ERROR", error.cause).reject(rows[0].m3ter_id)]
        middle = len(rows) // 2
        return _send(transport, target, rows[:middle]) + _send(transport, target, rows[middle:])
    return pair_results([row.m3ter_id for row in rows], results, f"rows of {target.object}")


def _path(target: Target) -> str:
    if target.update_only:
        return "/composite/sobjects"
    return f"/composite/sobjects/{target.object}/{target.external_id_field}"


def body(target: Target, rows: Sequence[Row]) -> bytes:
    """Write the JSON of a call, with the exact digits of numbers."""
    records = [_record(target, row) for row in rows]
    return msgspec.json.encode({"allOrNone": False, "records": records})


def _record(target: Target, row: Row) -> dict[str, object]:
    record: dict[str, object] = {"attributes": {"type": target.object}}
    if target.update_only:
        record["id"] = row.salesforce_id
    else:
        record[target.external_id_field] = row.m3ter_id
    for place, (column, value) in enumerate(zip(target.columns, row.values, strict=True)):
        if place not in row.kept:
            name, content = _member(column, value)
            record[name] = content
    return record


def _member(column: Column, value: Value) -> tuple[str, object]:
    """Name and value of a field. A lookup is cleared by its field, but set by its relationship."""
    if isinstance(value, Decimal):
        return column.field, msgspec.Raw(plain(value).encode())
    if value is None or value == "":
        return column.field, None
    if column.relationship is None:
        return column.field, line_ends(value) if isinstance(value, str) else value
    return column.relationship, {column.parent_external_id: value}
