import json
from collections.abc import Mapping
from itertools import count

import pytest

from m3sync_dagster.m3ter.list_pages import MOST_REPEATS, read_pages
from m3sync_dagster.sync.errors import RemoteError

Query = Mapping[str, str | int]


class Pages:
    """Answers with these bodies in turn, and remembers the queries."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.queries: list[Query] = []

    def __call__(self, path: str, query: Query) -> bytes:
        assert path == "accounts"
        self.queries.append(query)
        return self.bodies.pop(0)


def read(get: Pages) -> list[list[bytes]]:
    return list(read_pages(get, "accounts", {"pageSize": 100}))


@pytest.mark.parametrize(
    "end",
    [b'{"data":[]}', b'{"data":[],"nextToken":null}', b'{"nextToken":"","data":[]}'],
)
def test_a_missing_null_or_empty_token_ends_the_list(end: bytes) -> None:
    get = Pages(end, b"never asked for")
    assert read(get) == [[]]
    assert get.queries == [{"pageSize": 100}]


def test_the_token_alone_says_whether_there_is_more() -> None:
    get = Pages(
        b'{"data":[{"id":"1"}],"nextToken":"a"}',
        b'{"data":[],"nextToken":"b"}',
        b'{"data":[{"id":"2"}]}',
    )
    assert read(get) == [[b'{"id":"1"}'], [], [b'{"id":"2"}']]
    assert [query.get("nextToken") for query in get.queries] == [None, "a", "b"]
    assert all(query["pageSize"] == 100 for query in get.queries)


@pytest.mark.parametrize(
    "record",
    [
        '{"id":"1","amount":0.1000000000000000055511151231257827}',
        '{"id":"1", "n":123456789012345678901234567890 , "f":1.0}',
        '{"id":"é中\U0001f600","q":"\\"\\n\\u00e9","none":null}',
        '{"id":"1","nested":{"data":[1,2],"nextToken":"x"}}',
        "null",
        "7",
    ],
)
def test_records_stay_the_bytes_that_m3ter_sent(record: str) -> None:
    get = Pages(f'{{"extra":{{}},"data":[ {record} ,{record}],"total":9}}'.encode())
    assert read(get) == [[record.encode()] * 2]


@pytest.mark.parametrize(
    "odd",
    [
        b'{"id":"o","name":"\\ud83d"}',
        b'{"id":"o","\\ud83d":"\\ude00 \\" \\\\"}',
        b'{"id":"o","name":"\xff\xfe Caf\xe9 \xed\xa0\xbd"}',
        b'{"id":"o","name":"\xff0\xff","other":"\\ud83d"}',
        b'{"id":"o","name":"\x00 \n"}',
        b'{"id":"o","name":"\\q"}',
        b'{"id":"o","amount":NaN,"other":-Infinity}',
        b'{"id":"o","amount":1e999}',
        b'{"id":"o","amount":' + b"9" * 5000 + b"}",
        b'{"id":"o","id":"p"}',
        b'{"id":"o","name":"' + b"x" * 10_000_000 + b'"}',
        b'{"id":"o","deep":' + b"[" * 100_000 + b'"\\ud83d"' + b"]" * 100_000 + b"}",
        b"[" * 5000 + b"]" * 5000,
        b'"\\ud83d"',
    ],
    ids=lambda odd: repr(odd[:40]),
)
def test_a_record_that_no_strict_decoder_reads_keeps_no_other_back(odd: bytes) -> None:
    first, last = b'{"id":"1","name":"\\ud83d\\ude00"}', b'{"id":"2","n":[1,{"x":"]"}]}'
    get = Pages(
        b'{"data":[%s, %s ,%s],"nextToken":"a\\u002fb"}' % (first, odd, last),
        b'{"total":3,"nextToken":null,"data":[%s]}' % odd,
    )
    assert read(get) == [[first, odd, last], [odd]]
    assert get.queries[1]["nextToken"] == "a/b"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"data":["\\ud83d"],"nextToken":"\\ud83d"}',
        b'{"data":[{"name":"\\ud83d"},{"name":"x"y"}]}',
        b'{"data":[{"name":"\\ud83d"},{"name":"x]}',
        b'{"data":[{"name":"\\ud83d"}],"nextToken":"',
        b"<html>502 Bad Gateway</html>",
        b'{"data":[{"id":"1"}',
        b'{"nextToken":"a"}',
        b'{"data":null}',
        b'{"data":{"id":"1"}}',
        b'{"data":[],"nextToken":7}',
        b"[]",
        b"null",
        b'{"data":[],"nextToken":"\xff\xfe"}',
    ],
)
def test_what_is_not_a_page_is_an_error_that_names_path_and_page(body: bytes) -> None:
    get = Pages(b'{"data":[],"nextToken":"a"}', body)
    with pytest.raises(RemoteError, match=r"accounts.*page 2"):
        read(get)


@pytest.mark.parametrize("records", [[], [{"id": "1"}]])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("lead", [0, 1, 5])
def test_pages_that_go_round_in_a_circle_are_an_error(
    length: int, lead: int, records: list[object]
) -> None:
    calls = count()

    def get(_path: str, _query: Query) -> bytes:
        n = next(calls)
        token = str(n if n < lead else lead + (n - lead) % length)
        return json.dumps({"data": records, "nextToken": token}).encode()

    with pytest.raises(RemoteError, match="does not end"):
        for _ in read_pages(get, "accounts", {}):
            pass
    rounds = 4 if records else 4 * MOST_REPEATS
    assert next(calls) <= rounds * (lead + length) + 2


def test_an_empty_page_may_lead_back_to_itself_for_a_while() -> None:
    waiting = [b'{"data":[],"nextToken":"a"}'] * 9
    get = Pages(b'{"data":[1],"nextToken":"a"}', *waiting, b'{"data":[2]}')
    assert read(get) == [[b"1"], *[[]] * 9, [b"2"]]


def test_a_page_that_leads_back_to_itself_is_not_read_a_third_time() -> None:
    get = Pages(*[b'{"data":[1],"nextToken":"a"}'] * 3)
    with pytest.raises(RemoteError, match="does not end: page 2"):
        read(get)


def test_a_long_list_is_no_circle() -> None:
    bodies = [json.dumps({"data": [n], "nextToken": str(n)}).encode() for n in range(1, 300)]
    assert sum(len(page) for page in read(Pages(*bodies, b'{"data":[0]}'))) == 300
