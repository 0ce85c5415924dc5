"""The endpoints for the records that were updated or deleted in a period.

Source: Salesforce REST API guide, "sObject Get Updated" and "sObject Get Deleted"; SOAP API guide,
"getUpdated()": seconds are ignored, and a period is longer than a minute and within 30 days.
"""

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.field_values import datetime_text
from m3sync_dagster.sandbox.salesforce.http import json_response, org_of
from m3sync_dagster.sandbox.salesforce.record_table import Table

_LONGEST = timedelta(days=30)


async def updated(request: Request) -> Response:
    """``GET .../sobjects/{object}/updated/?start=&end=``: the Ids of new and changed records."""
    table, start, end = _arguments(request)
    ids = [table.id_of(number) for number, _ in _changes(table, start, end, deleted=False)]
    return json_response({"ids": ids, "latestDateCovered": _text(end)})


async def deleted(request: Request) -> Response:
    """``GET .../sobjects/{object}/deleted/?start=&end=``."""
    table, start, end = _arguments(request)
    records = [
        {"id": table.id_of(number), "deletedDate": stamp.replace("Z", "+0000")}
        for number, stamp in _changes(table, start, end, deleted=True)
    ]
    return json_response(
        {
            "deletedRecords": records,
            "earliestDateAvailable": _text(datetime.now(UTC) - _LONGEST),
            "latestDateCovered": _text(end),
        }
    )


def _arguments(request: Request) -> tuple[Table, datetime, datetime]:
    start, end = _moment(request, "start"), _moment(request, "end")
    if end - start < timedelta(minutes=1):
        message = "The start date must precede the end date by more than one minute"
        raise ApiError(400, "INVALID_REPLICATION_DATE", message)
    if datetime.now(UTC) - start > _LONGEST:
        message = "startDate cannot be more than 30 days ago"
        raise ApiError(400, "INVALID_REPLICATION_DATE", message)
    return org_of(request).table(request.path_params["object"]), start, end


def _moment(request: Request, name: str) -> datetime:
    # A plus sign that the client did not encode arrives as a space.
    text = request.query_params.get(name, "").replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"The parameter {name} must be a date and time in ISO 8601: {text}"
        raise ApiError(400, "MALFORMED_QUERY", message) from None
    return moment.replace(second=0, microsecond=0)


def _changes(
    table: Table, start: datetime, end: datetime, *, deleted: bool
) -> list[tuple[int, str]]:
    """The numbers of the records that changed, and when."""
    slot = table.slot(table.definition.fields["SystemModstamp"])
    first, last = datetime_text(start), datetime_text(end)
    found = [
        (number, str(table.unpack(packed)[slot]))
        for number, packed in table.snapshot(deleted=deleted)
        if table.is_deleted(number) is deleted
    ]
    return [(number, stamp) for number, stamp in found if first <= stamp < last]


def _text(moment: datetime) -> str:
    return datetime_text(moment).replace("Z", "+0000")
