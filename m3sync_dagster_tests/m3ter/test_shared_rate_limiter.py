import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from pyrate_limiter import InMemoryBucket, Rate

from m3sync_dagster.m3ter import M3terAccessKey
from m3sync_dagster.m3ter import shared_rate_limiter as limiter
from m3sync_dagster.m3ter.shared_rate_limiter import Permits, open_permits
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError, SyncError
from m3sync_dagster_tests.m3ter.scripted_server import Script, page, serving

pytestmark = pytest.mark.slow

WINDOW = 0.9
"""A second, less what a busy machine may add between a permit and its use."""


def credential(per_second: int = 100, base_url: str = "https://api.m3ter.com") -> M3terAccessKey:
    """A credential of an organization that no other test uses."""
    return M3terAccessKey(str(uuid4()), "key", "secret", base_url, per_second)


def table(it: M3terAccessKey) -> sql.Composable:
    return sql.Identifier("m3sync", f"ratelimit___{limiter._table(it)}")


def permits_at(when: str, number: int, it: M3terAccessKey) -> sql.Composed:
    """A statement that puts permits into the organization's table, as if taken at that time."""
    return sql.SQL(
        "INSERT INTO {} SELECT 'x', 1, now() AT TIME ZONE 'UTC' + {}::interval"
        " FROM generate_series(1, {})"
    ).format(table(it), when, number)


def most_in_a_window(times: list[float]) -> int:
    """The greatest number of these moments that any window of time holds."""
    times = sorted(times)
    return max(sum(start <= t < start + WINDOW for t in times) for start in times)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as it:
        yield it


def together(*work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=w) for w in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def counted() -> tuple[Permits, InMemoryBucket]:
    """Permits in plenty, and the bucket that counts them."""
    bucket = InMemoryBucket([Rate(1000, 1050)])
    return Permits(1000, lambda _rate: bucket), bucket


@pytest.mark.parametrize("threads", [1, 3])
def test_no_window_holds_more_than_the_rate(threads: int) -> None:
    times: list[float] = []
    with closing(open_permits(credential(per_second=12), None)) as permits:

        def work() -> None:
            for _ in range(30 // threads):
                permits.take()
                times.append(time.monotonic())

        together(*[work] * threads)
    assert len(times) == 30
    assert most_in_a_window(times) <= 12


PROCESS = """
import sys
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource
credential = M3terAccessKey("shared", "key", "secret", sys.argv[1], int(sys.argv[2]))
with M3terSource(credential, sys.argv[3]) as organization:
    for _ in organization.records(ENTITIES["account"], [str(n) for n in range(40)]):
        pass
"""


@contextmanager
def kept_permits(connection: psycopg.Connection, it: M3terAccessKey) -> Iterator[None]:
    """Make the database copy the organization's permits, which are deleted once they are old."""
    copy = sql.SQL(
        "CREATE TABLE m3sync.kept (at timestamp);"
        "CREATE FUNCTION m3sync.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO m3sync.kept VALUES (NEW.item_timestamp); RETURN NULL; END $$;"
        "CREATE TRIGGER keep AFTER INSERT ON {} FOR EACH ROW EXECUTE FUNCTION m3sync.keep()"
    )
    connection.execute(copy.format(table(it)))
    try:
        yield
    finally:
        connection.execute("DROP TABLE m3sync.kept; DROP FUNCTION m3sync.keep() CASCADE")


def test_two_processes_together_stay_under_the_rate(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    rate = 30
    with serving(Script(page("1"))) as script:
        shared = M3terAccessKey("shared", "key", "secret", script.url, rate)
        with closing(open_permits(shared, postgres_url)) as permits:
            permits.take()  # which creates the organization's table
        command = [sys.executable, "-c", PROCESS, script.url, str(rate), postgres_url]
        root = Path(__file__).parents[2]
        with kept_permits(connection, shared):
            processes = [subprocess.Popen(command, cwd=root) for _ in range(2)]
            assert [process.wait() for process in processes] == [0, 0]
            query = "SELECT extract(epoch FROM at)::float FROM m3sync.kept"
            allowed = [at for (at,) in connection.execute(query)]
    assert (len(script.lists), len(script.tokens)) == (80, 2)
    # A busy machine may delay a request, so what counts is when it was allowed.
    assert len(allowed) >= len(script.asked)
    assert most_in_a_window(allowed) <= rate


def test_many_at_once_neither_fail_nor_wait_for_ever(postgres_url: str) -> None:
    shared = credential(per_second=400)
    times: list[float] = []

    def work() -> None:
        with closing(open_permits(shared, postgres_url)) as permits:
            for _ in range(60):
                permits.take()
                times.append(time.monotonic())

    together(*[work] * 8)
    assert len(times) == 480
    assert most_in_a_window(times) <= 400


def test_a_busy_process_takes_several_permits_in_one_visit(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    shared = credential(per_second=1000)
    with closing(open_permits(shared, postgres_url)) as permits:
        for _ in range(200):
            permits.take()
    query = sql.SQL("SELECT count(*), count(DISTINCT item_timestamp) FROM {}")
    taken, visits = connection.execute(query.format(table(shared))).fetchone() or (0, 0)
    assert taken >= 200
    assert visits <= 100


def test_permits_that_were_held_too_long_are_not_used() -> None:
    permits, bucket = counted()
    while permits._left < 2:
        permits.take()
    before = bucket.count()
    permits._valid_until = time.monotonic()
    permits.take()
    assert bucket.count() > before


def test_one_process_at_leisure_takes_one_permit_at_a_time() -> None:
    permits, bucket = counted()
    for taken in range(1, 6):
        permits.take()
        permits._valid_until = time.monotonic()
        permits._used_at.clear()
        assert bucket.count() == taken


def test_a_few_requests_at_the_same_moment_take_no_permit_too_many() -> None:
    permits, bucket = counted()
    for taken in range(1, 5):
        permits.take()
        assert bucket.count() == taken


def test_closed_permits_open_nothing_again() -> None:
    permits, bucket = counted()
    permits.close()
    with pytest.raises(SyncError, match="reading from m3ter was stopped"):
        permits.take()
    assert bucket.count() == 0


def test_permits_of_the_past_are_removed(postgres_url: str, connection: psycopg.Connection) -> None:
    shared = credential()
    with closing(open_permits(shared, postgres_url)) as permits:
        permits.take()
    connection.execute(permits_at("-5 s", 500, shared))
    with closing(open_permits(shared, postgres_url)) as permits:
        permits.take()
    query = sql.SQL("SELECT count(*) FROM {}").format(table(shared))
    assert connection.execute(query).fetchone() in [(1,), (2,)]


def test_a_clock_that_was_set_back_does_not_stop_us(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    shared = credential(per_second=5)
    with closing(open_permits(shared, postgres_url)) as permits:
        permits.take()
        connection.execute(permits_at("1 h", 5, shared))
        permits._valid_until = 0
        permits.take()
    query = sql.SQL("SELECT max(item_timestamp) < now() AT TIME ZONE 'UTC' FROM {}")
    assert connection.execute(query.format(table(shared))).fetchone() == (True,)


def test_the_time_zone_of_the_server_does_not_matter(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    shared = credential()
    connection.execute("ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'")
    try:
        with closing(open_permits(shared, postgres_url)) as permits:
            permits.take()
    finally:
        connection.execute("ALTER DATABASE postgres RESET timezone")
    query = (
        "SELECT abs(extract(epoch FROM item_timestamp) - extract(epoch FROM now())) < 60 FROM {}"
    )
    assert connection.execute(sql.SQL(query).format(table(shared))).fetchone() == (True,)


def test_every_organization_has_a_table_that_does_not_tell_its_name() -> None:
    one, other = credential(), credential()
    slash = M3terAccessKey(one.organization_id, "key-2", "s", one.base_url + "/", 7)
    elsewhere = M3terAccessKey(one.organization_id, "key", "s", "https://m3ter.example.com")
    assert limiter._table(one) == limiter._table(slash)
    assert len({limiter._table(it) for it in (one, other, elsewhere)}) == 3
    assert one.organization_id not in limiter._table(one)
    assert len(f"timestampindex_{limiter._table(one)}") < 64


def test_urls_as_sqlalchemy_writes_them_and_their_options_are_understood(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    shared = credential()
    url = postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    url += ("&" if "?" in url else "?") + "options=-c%20statement_timeout%3D4321"
    with closing(open_permits(shared, url)) as permits:
        permits.take()
    query = sql.SQL("SELECT count(*) FROM {}").format(table(shared))
    assert connection.execute(query).fetchone() == (1,)
    with limiter._pool(url) as pool, pool.connection() as session:
        assert session.execute("SHOW statement_timeout").fetchone() == ("4321ms",)
        assert session.execute("SHOW TimeZone").fetchone() == ("UTC",)


def test_a_database_without_our_schema_is_a_matter_of_migration(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE DATABASE bare")
    url = postgres_url.replace("/postgres?", "/bare?")
    with (
        closing(open_permits(credential(), url)) as permits,
        pytest.raises(ConfigurationError, match="m3sync migrate"),
    ):
        permits.take()


def test_a_database_that_is_away_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limiter, "CONNECT_SECONDS", 0.2)
    permits = open_permits(credential(), "postgresql://me:hunter2@127.0.0.1:1/db")
    with pytest.raises(RemoteError, match="M3SYNC_POSTGRES_URL") as refused:
        permits.take()
    assert "hunter2" not in "".join(traceback.format_exception(refused.value)) + caplog.text
    permits.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pool")]


def test_a_broken_connection_is_opened_again(
    postgres_url: str, connection: psycopg.Connection
) -> None:
    with closing(open_permits(credential(), postgres_url)) as permits:
        permits.take()
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'm3sync m3ter rate limit'"
        )
        permits._valid_until = 0
        with pytest.raises(RemoteError, match="PostgreSQL"):
            permits.take()
        permits.take()
