"""Lists that are read at the same time: nothing is lost, changed, or asked for twice."""

import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path

import pytest
from starlette.applications import Starlette

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource, ReadAhead, read_ahead
from m3sync_dagster.m3ter.page_spool import PageSpool
from m3sync_dagster.m3ter.read_ahead import ListAhead
from m3sync_dagster.sandbox.m3ter import Credentials, create_app
from m3sync_dagster.sandbox.m3ter.faults import Drop, Empty, Fault, Respond, Revoke
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.m3ter.held_pages import HeldPages
from m3sync_dagster_tests.m3ter.test_page_spool import files_of_at_most

NAMES = ("account", "contract", "commitment", "balance")
PATHS = {ENTITIES[name].path for name in NAMES}
ALL = [(ENTITIES[name], None) for name in NAMES]
KEY = Credentials()
Read = dict[str, list[list[bytes]]]


@pytest.fixture
def store() -> Organization:
    return Organization.generate(250, contracts=320, commitments=7, balances=501)


@pytest.fixture
def app(store: Organization) -> Starlette:
    return create_app(store, KEY, requests_per_second=None)


@contextmanager
def source_of(app: object, retries: int | None = None) -> Iterator[M3terSource]:
    with running(app) as url:  # type: ignore[arg-type] # an ASGI application
        key = M3terAccessKey(KEY.organization_id, KEY.access_key_id, KEY.api_secret, url, 100_000)
        with M3terSource(key, retries=retries) as source:
            yield source


def read_all(source: Source, names: Sequence[str] = NAMES) -> Read:
    """The pages of each list, read one list after another."""
    return {name: [list(p) for p in source.records(ENTITIES[name], None)] for name in names}


def joined(read: Read) -> dict[str, list[bytes]]:
    return {name: list(chain.from_iterable(pages)) for name, pages in read.items()}


def asked(app: Starlette) -> list[str]:
    """The paths of all requests, sorted, because the order of lists is open."""
    return sorted(call["path"].rpartition("/")[2] for call in app.state.calls.as_json())


def list_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("m3sync list")]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> list[Path]:
    """The files in a folder that this process has open, also those without a name."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one of this very list
            found.append(link.readlink())
    return [file for file in found if file.parent == folder]


def test_four_lists_are_asked_for_at_the_same_time(app: Starlette) -> None:
    """Each page is held back until pages of all four are wanted, except the very first one."""
    held = HeldPages(
        app,
        hold=lambda path, query: path != "accounts" or "nextToken" in query,
        release=lambda held: set(held) == PATHS,
    )
    with source_of(held) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        read = read_all(ahead)
        assert source.requests == 1 + sum(map(len, read.values()))
    assert held.most_in_flight >= len(NAMES)
    with source_of(app) as alone:
        assert read == read_all(alone)


def test_each_page_is_asked_for_once(app: Starlette) -> None:
    with source_of(app) as source:
        one_after_another = read_all(source)
    expected = asked(app)
    app.state.calls.clear()
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        for _ in NAMES:  # every step of a run says what the run reads
            ahead.expect(ALL)
        assert read_all(ahead) == one_after_another
        assert asked(app) == expected
        ahead.expect(ALL)
        assert read_all(ahead, ["balance"])["balance"] == one_after_another["balance"]
        assert asked(app).count("balances") == 2 * expected.count("balances")


def test_a_run_of_one_entity_reads_only_that(app: Starlette) -> None:
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect([(ENTITIES["contract"], None)])
        assert [len(p) for p in ahead.records(ENTITIES["contract"], None)] == [100, 100, 100, 20]
    assert list_threads() == []
    assert asked(app) == ["contracts"] * 4 + ["token"]


def test_the_next_pages_are_read_while_a_page_is_used(app: Starlette) -> None:
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        pages = ahead.records(ENTITIES["account"], None)
        first = next(pages)
        for thread in list_threads():
            thread.join(PATIENCE)
        assert asked(app).count("accounts") == 3
        read = [list(first), *map(list, pages)]
        assert asked(app).count("accounts") == 3
    with source_of(app) as alone:
        assert read == read_all(alone, ["account"])["account"]


def test_a_list_that_is_left_at_its_first_page_is_stopped(app: Starlette) -> None:
    held = HeldPages(app, hold=lambda _, query: "nextToken" in query, release=lambda _: False)
    with source_of(held) as source, closing(ReadAhead(source)) as ahead:
        pages = ahead.records(ENTITIES["balance"], None)
        next(pages)
        pages.close()  # type: ignore[attr-defined] # a generator, as an error in the sync ends it
        held.released.set()
        for thread in list_threads():
            thread.join(PATIENCE)
        assert asked(app).count("balances") <= 2


def test_nothing_is_read_before_the_first_page(app: Starlette) -> None:
    app.state.faults.add(Fault(Respond(401), path="*/accounts", times=None))
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        with pytest.raises(SyncError, match="401"):
            read_all(ahead)
        assert list_threads() == []
    assert set(asked(app)) == {"accounts", "token"}


def test_account_lists_are_read_account_by_account(store: Organization, app: Starlette) -> None:
    chosen = sorted(store.ids("accounts")[:3])
    lists = [(ENTITIES[name], chosen) for name in NAMES]
    with source_of(app) as source:
        expected = {e.name: list(source.records(e, ids)) for e, ids in lists}
    app.state.calls.clear()
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(lists)
        assert {e.name: list(ahead.records(e, ids)) for e, ids in lists} == expected
    queries = [c["query"] for c in app.state.calls.as_json() if c["method"] == "GET"]
    assert len(queries) == len(NAMES) * len(chosen)
    assert all(len(q.get("ids", q.get("accountId", []))) == 1 for q in queries)


def test_no_accounts_no_request(app: Starlette) -> None:
    lists: list[tuple[object, list[str] | None]] = [(ENTITIES[name], []) for name in NAMES]
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(lists)  # type: ignore[arg-type] # entity types
        assert [page for name in NAMES for page in ahead.records(ENTITIES[name], [])] == []
    assert asked(app) == []


FAULTS = {
    "unauthorized": Respond(401),
    "forbidden": Respond(403),
    "unknown organization": Respond(404),
    "too many requests": Respond(429, headers={"retry-after-ms": "1"}),
    "server error": Respond(500),
    "connection lost": Drop(),
    "truncated": Respond(200, '{"data":[{"id":'),
    "no JSON": Respond(200, "oops"),
    "web page": Respond(200, "<html>", {"content-type": "text/html"}),
}


def failing_balances(source: Source) -> tuple[int, str, type[Exception], str, str]:
    """Pages before the error, and the error, of balances that are read after the other lists."""
    read_all(source, NAMES[:-1])
    pages = 0
    try:
        for _ in source.records(ENTITIES["balance"], None):
            pages += 1
    except SyncError as error:
        return pages, error.status, type(error), error.cause, error.remedy
    raise AssertionError("there was no error")


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("case", FAULTS)
def test_an_error_is_that_of_its_list_and_the_same_as_without_reading_ahead(
    case: str, after: int, app: Starlette
) -> None:
    fault = {"action": FAULTS[case], "path": "*/balances", "after": after, "times": None}
    app.state.faults.add(Fault(**fault))  # type: ignore[arg-type] # as in the table
    with source_of(app, retries=1) as source:
        expected = failing_balances(source)
    assert expected[0] == after
    app.state.faults.clear()
    app.state.faults.add(Fault(**fault))  # type: ignore[arg-type] # as in the table
    with source_of(app, retries=1) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        assert failing_balances(ahead) == expected


def test_temporary_faults_lose_and_repeat_nothing(app: Starlette) -> None:
    with source_of(app) as source:
        expected = joined(read_all(source))
    for path in PATHS - {"accounts"}:
        app.state.faults.add(Fault(Drop(), path=f"*/{path}"))
        app.state.faults.add(Fault(Empty(), path=f"*/{path}", after=1))
    app.state.faults.add(Fault(Revoke(), path="*/contracts", after=1))
    limit = Respond(429, headers={"retry-after-ms": "1"})
    app.state.faults.add(Fault(limit, path="*/balances", after=3))
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        assert joined(read_all(ahead)) == expected
    # One at the start, and one after the tokens were revoked, however many lists met that.
    assert asked(app).count("token") == 1 + 2


def test_a_full_disk_lets_each_list_be_read_by_its_own_sync(app: Starlette) -> None:
    with source_of(app) as source:
        expected = read_all(source)
    before = asked(app)
    app.state.calls.clear()
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        with files_of_at_most(100_000):
            assert read_all(ahead) == expected
    assert asked(app) == before


def test_the_end_stops_the_threads_and_deletes_the_files(
    app: Starlette, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "STOP_SECONDS", PATIENCE)
    held = HeldPages(
        app,
        hold=lambda path, query: path == "balances" and "nextToken" in query,
        release=lambda _held: False,
    )
    with source_of(held) as source:
        ahead = ReadAhead(source)
        ahead.expect(ALL)
        read_all(ahead, ["account"])
        assert held.waiting.wait(PATIENCE)
        assert open_files(temporary)
        threading.Timer(0.05, held.released.set).start()
        ahead.close()
        assert list_threads() == []
        assert open_files(temporary) == []
    assert asked(app).count("balances") == 2


def test_a_request_that_is_not_answered_does_not_hold_up_the_end(
    app: Starlette, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in its thread, which then sends nothing and closes the connections."""
    monkeypatch.setattr(read_ahead, "STOP_SECONDS", 0.0)
    held = HeldPages(app, hold=lambda path, _: path == "balances", release=lambda _held: False)
    with running(held) as url:
        key = M3terAccessKey(KEY.organization_id, KEY.access_key_id, KEY.api_secret, url, 100_000)
        source = M3terSource(key)
        with source, closing(ReadAhead(source)) as ahead:
            ahead.expect(ALL)
            read_all(ahead, ["account"])
            assert held.waiting.wait(PATIENCE)
            (thread,) = [one for one in list_threads() if one.name.endswith("balance")]
        assert thread.is_alive()
        assert open_files(temporary) == []
        assert not source._client._sdk.is_closed()
        held.released.set()
        for one in list_threads():
            one.join(PATIENCE)
        assert list_threads() == []
        assert source._client._sdk.is_closed()
    assert asked(app).count("balances") == 1


def test_a_list_that_nobody_reads_to_its_end_is_stopped(app: Starlette, temporary: Path) -> None:
    with source_of(app) as source, closing(ReadAhead(source)) as ahead:
        ahead.expect(ALL)
        read_all(ahead, ["account"])
        balances = ahead.records(ENTITIES["balance"], None)
        next(balances)
        balances.close()  # type: ignore[attr-defined] # a generator, as an error in the sync ends it
        read_all(ahead, ["contract", "commitment"])
        assert open_files(temporary) == []


def test_a_stopped_list_has_no_end() -> None:
    """What is still to be read then is an error, and never the end of the list."""
    ahead = ListAhead("balance", iter([[b"1"], [b"2"]]), PageSpool())
    pages = ahead.take()
    assert pages
    ahead.wait(time.monotonic() + PATIENCE)
    ahead.stop()
    with pytest.raises(ValueError, match="closed"):
        list(pages)


def test_memory_does_not_hold_the_pages() -> None:
    number, size = 400, 100_000

    def pages() -> Iterator[list[bytes]]:
        for n in range(number):
            yield [b"%d" % n * (size // len(b"%d" % n))]

    tracemalloc.start()
    ahead = ListAhead("balance", pages(), PageSpool())
    ahead.wait(time.monotonic() + PATIENCE)
    read = sum(1 for _ in ahead.take() or ())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == number
    assert peak < number * size / 10


def test_pages_beyond_the_files_limit_are_read_in_their_place() -> None:
    pages = [[b"%d" % n] * 10 for n in range(50)]
    ahead = ListAhead("balance", iter(pages), PageSpool(most_bytes=200))
    ahead.wait(time.monotonic() + PATIENCE)
    assert list(ahead.take() or ()) == pages
