"""Small upserts: sObject Collections, 200 rows a call, answered at once.

Source: REST API Developer Guide, "Upsert Multiple Records with Collections".
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from decimal import Decimal
from itertools import islice
from queue import SimpleQueue

import msgspec

from m3sync_dagster.salesforce.collection_results import CollectionResult, pair_results
from m3sync_dagster.salesforce.errors import ApiError, UnreadableBodyError
from m3sync_dagster.salesforce.formatting import line_ends, plain
from m3sync_dagster.salesforce.retry import ROWS
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.results import (
    Row,
    RowResult,
    Value,
)
from m3sync_dagster.sync.rows import Column, Group, Target

MOST_ROWS = 200
"""Rows that Salesforce takes in one call."""
BLOCK = 2_000
"""Rows held in memory at a time; a multiple of ``MOST_ROWS``, so that no call goes half empty."""
FEWER_ROWS = 50
"""Rows of a call that repeats what met a lock."""
WORKERS = 4
Lane = list[list[Row]]


def upsert(
    transport: Transport, target: Target, group: Group, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[RowResult]]:
    """Send a group's rows, and again those that met a passing trouble.

    Of rows with the same external ID the last one is sent.

    Raises:
        SyncError: a call was refused as a whole, or got no answer.
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
        passing: set[str] = set()
        for results in _send_lanes(transport, target, lanes(rows, group.parent, size)):
            again = {result.m3ter_id for result in results if ROWS.retried(result)}
            passing |= again
            yield [result for result in results if result.m3ter_id not in again]
        if not passing:
            return
        rows, size = [row for row in rows if row.m3ter_id in passing], FEWER_ROWS
        sleep(ROWS.delay(failures))
    yield from _send_lanes(transport, target, lanes(rows, group.parent, size))


def lanes(rows: Sequence[Row], parent: int | None, size: int) -> list[Lane]:
    """Cut rows into calls, and put those that must not run at the same time into one lane.

    Salesforce locks a row's parent while it writes the row, so two calls with children of one
    parent go one after the other.

    Args:
        rows: sorted so that those of one parent are next to each other.
        parent: position of the parent among a row's values, where rows have one.
        size: rows of a call.
    """
    found: list[Lane] = []
    for start in range(0, len(rows), size):
        shared = (
            parent is not None
            and start > 0
            and (
                rows[start].values[parent] is not None
                and rows[start].values[parent] == rows[start - 1].values[parent]
            )
        )
        lane = found[-1] if shared else []
        if not shared:
            found.append(lane)
        lane.append(list(rows[start : start + size]))
    return found


def _send_lanes(
    transport: Transport, target: Target, found: list[Lane]
) -> Iterator[list[RowResult]]:
    """Send lanes side by side; after a failure, hand over what has been answered all the same."""
    answered: SimpleQueue[list[RowResult]] = SimpleQueue()
    failure: BaseException | None = None
    with ThreadPoolExecutor(WORKERS, "salesforce") as pool:
        futures = [pool.submit(_send_lane, transport, target, lane, answered) for lane in found]
        try:
            for future in as_completed(futures):
                if not future.cancelled() and (error := future.exception()):
                    failure = failure or error
                    _cancel(futures)
                while not answered.empty():
                    yield answered.get()
        finally:
            _cancel(futures)
    if failure:
        raise failure


def _cancel(futures: list[Future[None]]) -> None:
    for future in futures:
        future.cancel()


def _send_lane(
    transport: Transport, target: Target, lane: Lane, answered: SimpleQueue[list[RowResult]]
) -> None:
    for rows in lane:
        transport.check_quota()
        answered.put(_send(transport, target, rows))


def _send(transport: Transport, target: Target, rows: list[Row]) -> list[RowResult]:
    """Make one call; where a value cannot be read, halve it until that row stands alone.

    Salesforce refuses the whole call when it cannot read one value of it as the field's type.
    """
    try:
        results = transport.fetch(
            "PATCH",
            f"/composite/sobjects/{target.object}/{target.external_id_field}",
            list[CollectionResult],
            data=body(target, rows),
            headers={"Content-Type": "application/json"},
        )
    except UnreadableBodyError as error:
        if len(rows) == 1:
            return [ApiError("JSON_PARSER_ERROR", error.cause).refuse(rows[0].m3ter_id)]
        middle = len(rows) // 2
        return _send(transport, target, rows[:middle]) + _send(transport, target, rows[middle:])
    return pair_results([row.m3ter_id for row in rows], results, f"rows of {target.object}")


def body(target: Target, rows: Sequence[Row]) -> bytes:
    """Write the JSON of a call, with numbers digit by digit as they are."""
    records = [_record(target, row) for row in rows]
    return msgspec.json.encode({"allOrNone": False, "records": records})


def _record(target: Target, row: Row) -> dict[str, object]:
    record: dict[str, object] = {
        "attributes": {"type": target.object},
        target.external_id_field: row.m3ter_id,
    }
    for column, value in zip(target.columns, row.values, strict=True):
        name, content = _member(column, value)
        record[name] = content
    return record


def _member(column: Column, value: Value) -> tuple[str, object]:
    """One field. A lookup is cleared through the field, but set through the relationship."""
    if isinstance(value, Decimal):
        return column.field, msgspec.Raw(plain(value).encode())
    if value is None or value == "":
        return column.field, None
    if column.relationship is None:
        return column.field, line_ends(value) if isinstance(value, str) else value
    return column.relationship, {column.parent_external_id: value}
