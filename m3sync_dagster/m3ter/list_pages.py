"""Reading all pages of an m3ter list, without decoding the records.

Source: m3ter API reference, "Pagination": a list responds ``{"data": [...], "nextToken": "..."}``.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count

import msgspec

from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.undecodable_json import JsonParts

Get = Callable[[str, Mapping[str, str | int]], bytes]
"""Reads a path with query parameters from m3ter, and returns the body of the response."""


class Page(msgspec.Struct, rename="camel"):
    """One page of a list: its records as raw JSON, and the token of the next page."""

    data: list[msgspec.Raw]
    next_token: str | None = None


MOST_REPEATS = 10
"""How often empty pages may repeat an earlier token before the list counts as endless."""

MOST_NESTED = 200
"""Levels of nesting with which a page is still decoded; far fewer than the decoder's limit."""

_DECODER = msgspec.json.Decoder(Page)


def read_pages(get: Get, path: str, query: Mapping[str, str | int]) -> Iterator[list[bytes]]:
    """Read every page of a list.

    Only the token shows whether there is a next page: a page may be empty and not be the last.

    Args:
        get: reads from m3ter.
        path: the list endpoint.
        query: its parameters, including ``pageSize``.

    Yields:
        The raw JSON text of each record of a page. It may be empty.

    Raises:
        RemoteError: a page cannot be read, or the pages repeat without end.
    """
    token: str | None = None
    checkpoint: str | None = None
    repeats_left = MOST_REPEATS
    for number in count(1):
        asked = {**query, "nextToken": token} if token else query
        page = _decode(get(path, asked), path, number)
        yield [bytes(record) for record in page.data]
        token = page.next_token
        if not token:
            return
        if token == checkpoint:
            repeats_left = 0 if page.data else repeats_left - 1
            if repeats_left <= 0:
                raise _endless_list(path, number)
        if number & (number - 1) == 0:
            # Brent's algorithm finds a cycle of any length with one stored token.
            checkpoint = token


def _decode(body: bytes, path: str, number: int) -> Page:
    try:
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return _decode_in_parts(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(
            f"m3ter answered {path} with something that is not a page of a list: "
            f"page {number}, {len(body)} bytes, {error}",
            "Run it again. If the error continues, check base_url and any proxy.",
        ) from error


def _decode_in_parts(body: bytes) -> Page:
    """Split a page that has a record which the decoder rejects.

    Each record is passed on unchanged, so that only the invalid one is reported as invalid.
    """
    parts = JsonParts()
    text = parts.without_odd_strings(body)
    try:
        page = _DECODER.decode(text)
    except RecursionError:
        page = _DECODER.decode(parts.without_deep_parts(text, MOST_NESTED))
    return Page([msgspec.Raw(parts.restored(bytes(raw))) for raw in page.data], page.next_token)


def _endless_list(path: str, number: int) -> RemoteError:
    return RemoteError(
        f"m3ter's list {path} does not end: page {number} has a nextToken that was used before",
        "Run it again. If the error continues, contact m3ter's support.",
    )
