"""The pages that a link to the org opens in a browser: a record, and an object's list view.

A record's page has its fields and its related lists: the records that point to it, and those that
point to these. The pages have the addresses of Lightning Experience and none of its appearance.
They need no login, and do not count as API calls.
"""

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.field_values import csv_text
from m3sync_dagster.sandbox.salesforce.http import org_of
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.related_lists import (
    RelatedList,
    RelatedRecord,
    related_lists,
)
from m3sync_dagster.sandbox.salesforce.schema import USER

LEVELS = 2
"""How many levels of related lists a record's page has."""
LISTED = 50
"""Records that a list view shows."""
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title} | m3sync sandbox</title>
<meta name="color-scheme" content="light dark">
<style>body {{ font: 15px sans-serif; margin: 2em }} th {{ text-align: left; padding-right: 2em }}
td {{ white-space: pre-wrap }} main {{ display: flex; gap: 4em; align-items: start }}
h2 {{ font-size: 1em; margin: 0.5em 0 0 }} ul {{ margin: 0; line-height: 1.4 }}</style></head>
<body><h1>{title}</h1><p>{about}</p><main><table>{rows}</table>{related}</main></body></html>
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


async def record_page(request: Request) -> HTMLResponse:
    """``GET /lightning/r/{object}/{id}/view``: every field of a record, and its related lists."""
    org = org_of(request)
    with org.lock:
        try:
            table = org.table(request.path_params["object"])
        except ApiError:
            return _not_found()
        number = table.number_of(request.path_params["id"])
        if number is None:
            return _not_found()
        record = _record(table, number)
        rows = [_row(name, _cell(org, table, name, value)) for name, value in record.items()]
        lists = related_lists(org, table.definition, {record["Id"]}, LEVELS).get(record["Id"], [])
    name = table.definition.name
    about = f"{escape(table.definition.label)}. {_link(_list_address(name), 'All records')}"
    return _page(record.get("Name") or record["Id"], about, rows, related=_related(lists))


async def list_view(request: Request) -> HTMLResponse:
    """``GET /lightning/o/{object}/list``: the newest records of an object."""
    org = org_of(request)
    with org.lock:
        try:
            table = org.table(request.path_params["object"])
        except ApiError:
            return _not_found()
        numbers = [number for number, _ in table.snapshot()]
        newest = [_record(table, number) for number in numbers[: -LISTED - 1 : -1]]
    name = table.definition.name
    rows = [_row(one["Id"], _record_link(name, one)) for one in newest]
    about = f"{len(numbers)} records, the newest {len(newest)} of them"
    return _page(table.definition.plural_label, about, rows)


def _record(table: Table, number: int) -> dict[str, str]:
    """The fields of a record as text; its Id comes first."""
    fields = [field for field in table.definition.visible_fields() if field.type != "Id"]
    # The slots first: the values then include those of a field that was added just now.
    slots = [table.slot(field) for field in fields]
    values = table.get(number) or []
    pairs = zip(fields, slots, strict=True)
    texts = (
        csv_text(field, table.user_id if field.refers_to == USER else values[slot])
        for field, slot in pairs
    )
    names = (field.name for field in fields)
    return {"Id": table.id_of(number), **dict(zip(names, texts, strict=True))}


def _cell(org: Org, table: Table, name: str, text: str) -> str:
    """A field's value as HTML; a lookup is a link to its parent's page."""
    parent = table.definition.fields[name].refers_to
    if text and parent and org.schema.find(parent):
        return _link(_record_address(parent, text), text)
    return escape(text)


def _related(lists: Iterable[RelatedList]) -> str:
    """Related lists as HTML, below each other."""
    found = "".join(
        f"<h2>{escape(one.definition.plural_label)} ({one.count})</h2>"
        f"<ul>{''.join(_item(one, record) for record in one.records)}{_more(one)}</ul>"
        for one in lists
    )
    return f"<section>{found}</section>" if found else ""


def _item(listed: RelatedList, record: RelatedRecord) -> str:
    link = _link(_record_address(listed.definition.name, record.salesforce_id), record.name)
    details = "".join(f" · {escape(text)}" for text in record.details)
    return f"<li>{link}{details}{_related(record.lists)}</li>"


def _more(listed: RelatedList) -> str:
    more = listed.count - len(listed.records)
    return f"<li>and {more} more</li>" if more else ""


def _record_link(object_name: str, record: dict[str, str]) -> str:
    return _link(_record_address(object_name, record["Id"]), record.get("Name") or record["Id"])


def _record_address(object_name: str, salesforce_id: str) -> str:
    return f"/lightning/r/{quote(object_name, safe='')}/{quote(salesforce_id, safe='')}/view"


def _list_address(object_name: str) -> str:
    return f"/lightning/o/{quote(object_name, safe='')}/list"


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _row(heading: str, cell: str) -> str:
    return f"<tr><th>{escape(heading)}</th><td>{cell}</td></tr>"


def _page(
    title: str, about: str, rows: Iterable[str], status: int = 200, *, related: str = ""
) -> HTMLResponse:
    """A page; only the title is escaped here."""
    lines = "\n".join(rows)
    text = _PAGE.format(title=escape(title), about=about, rows=lines, related=related)
    return HTMLResponse(text, status, _HEADERS)


def _not_found() -> HTMLResponse:
    about = "The sandbox has no such object or record. It may have been deleted."
    return _page("Page not found", about, [], 404)
