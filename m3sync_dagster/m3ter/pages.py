"""Reading a list from m3ter to its end, a page at a time, without decoding its records.

Source: m3ter API reference, "Pagination": a list answers ``{"data": [...], "nextToken": "..."}``.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count

import msgspec

from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.json_parts import JsonParts

Get = Callable[[str, Mapping[str, str | int]], bytes]
"""Asks m3ter for a path with query parameters, and hands over the body of the answer."""


class Page(msgspec.Struct, rename="camel"):
    """One page of a list: its records as raw JSON, and the token of the page after it."""

    data: list[msgspec.Raw]
    next_token: str | None = None


PATIENCE = 10
"""How many empty pages of a list may lead nowhere new before we take it for endless."""

MOST_NESTED = 200
"""Levels of nesting that a page is split with; far fewer than where the decoder gives up."""

_DECODER = msgspec.json.Decoder(Page)


def read_pages(get: Get, path: str, query: Mapping[str, str | int]) -> Iterator[list[bytes]]:
    """Read every page of a list.

    The token alone says whether there is more: a page may be empty and yet not the last.

    Args:
        get: asks m3ter.
        path: the list endpoint.
        query: its parameters, ``pageSize`` among them.

    Yields:
        The raw JSON text of each record of a page. It may be empty.

    Raises:
        RemoteError: a page cannot be read, or the pages go round in a circle.
    """
    token: str | None = None
    landmark: str | None = None
    patience = PATIENCE
    for number in count(1):
        asked = {**query, "nextToken": token} if token else query
        page = _decode(get(path, asked), path, number)
        yield [bytes(record) for record in page.data]
        token = page.next_token
        if not token:
            return
        if token == landmark:
            patience = 0 if page.data else patience - 1
            if patience <= 0:
                raise _circle(path, number)
        if number & (number - 1) == 0:
            # Brent's way of finding a circle of any length while remembering one token only.
            landmark = token


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
            "Run it again; if it stays so, check base_url and any proxy on the way to m3ter.",
        ) from error


def _decode_in_parts(body: bytes) -> Page:
    """Split a page of which some record holds what the decoder refuses.

    Each record is handed over as it came, so that the bad one alone is found invalid.
    """
    parts = JsonParts()
    text = parts.without_odd_strings(body)
    try:
        page = _DECODER.decode(text)
    except RecursionError:
        page = _DECODER.decode(parts.without_deep_parts(text, MOST_NESTED))
    return Page([msgspec.Raw(parts.restored(bytes(raw))) for raw in page.data], page.next_token)


def _circle(path: str, number: int) -> RemoteError:
    return RemoteError(
        f"m3ter's list {path} does not end: page {number} has a nextToken that was used before",
        "Run it again; if it stays so, tell m3ter's support.",
    )
