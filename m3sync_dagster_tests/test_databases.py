"""The databases that tests use one after the other: a test sees nothing of the tests before it."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from m3sync_dagster_tests.databases import Databases, new_database

TABLES = """
CREATE SCHEMA one;
CREATE TABLE one.parent (id bigserial PRIMARY KEY, name text);
CREATE TABLE one.child (parent bigint NOT NULL REFERENCES one.parent, day date NOT NULL)
  PARTITION BY RANGE (day);
CREATE TABLE one.child_of_2026 PARTITION OF one.child
  FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE FUNCTION one.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN RAISE EXCEPTION 'refused'; END$$;
CREATE TRIGGER kept BEFORE DELETE ON one.parent EXECUTE FUNCTION one.refuse();
INSERT INTO one.parent (name) VALUES ('first' || chr(9) || chr(10) || '\\'), (NULL);
"""
FIRST: tuple[list[tuple[object, ...]], ...] = ([(1, "first\t\n\\"), (2, None)], [])
MANY = """
INSERT INTO one.parent (name) SELECT repeat('x', 1000) FROM generate_series(1, 3000)
"""
"""Rows of more bytes than ``GROWTH``."""
CHANGES = [
    "ALTER TABLE one.parent ADD COLUMN more text",
    "ALTER TABLE one.parent ALTER COLUMN name SET DEFAULT 'x'",
    "ALTER TABLE one.parent DISABLE TRIGGER kept",
    "CREATE INDEX ON one.parent (name)",
    "CREATE SCHEMA two",
    "DROP FUNCTION one.refuse CASCADE",
    "DROP TABLE one.child_of_2026",
    "GRANT SELECT ON one.parent TO PUBLIC",
    "ALTER SEQUENCE one.parent_id_seq INCREMENT 7",
    "ANALYZE one.parent",
    "VACUUM one.child_of_2026",
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 99', current_database()); END$$",
]


@pytest.fixture(scope="module")
def template(postgres_server: str) -> Iterator[str]:
    with new_database(postgres_server) as url:
        with psycopg.connect(url) as connection:
            connection.execute(TABLES)
        yield str(make_url(url).database)


@pytest.fixture
def of_this_test(postgres_server: str) -> Iterator[Databases]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield Databases(postgres_server, connection)


def used(databases: Databases, template: str, *statements: str) -> tuple[str, int]:
    """Use a database as a test does; gives its address, and its number, which a new name keeps."""
    with databases.copy(template) as url, psycopg.connect(url, autocommit=True) as connection:
        assert content(connection) == FIRST
        for statement in statements:
            connection.execute(statement)
        number = connection.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert number
    return url, number[0]


def content(connection: psycopg.Connection) -> tuple[list[tuple[object, ...]], ...]:
    parents = connection.execute("SELECT id, name FROM one.parent ORDER BY id").fetchall()
    return parents, connection.execute("SELECT * FROM one.child").fetchall()


def test_rows_and_sequences_are_again_those_of_the_template(
    of_this_test: Databases, template: str
) -> None:
    first = used(
        of_this_test,
        template,
        "INSERT INTO one.parent (name) VALUES ('third')",
        "INSERT INTO one.child VALUES (3, '2026-05-01')",
        "UPDATE one.parent SET name = 'second' WHERE id = 2",
        "CREATE TEMPORARY TABLE passing AS SELECT 1 AS one",
    )
    with of_this_test.copy(template) as url, psycopg.connect(url) as connection:
        assert content(connection) == FIRST
        connection.execute("INSERT INTO one.parent (name) VALUES ('third')")
        assert connection.execute("SELECT max(id) FROM one.parent").fetchone() == (3,)
    last = used(of_this_test, template)
    assert last[1] == first[1]


def test_statistics_of_reads_begin_anew(of_this_test: Databases, template: str) -> None:
    used(of_this_test, template, "SELECT FROM one.parent", "SELECT pg_stat_force_next_flush()")
    with of_this_test.copy(template) as url, psycopg.connect(url) as connection:
        reads = connection.execute("SELECT sum(seq_scan) FROM pg_stat_user_tables").fetchone()
    assert reads == (0,)


def test_a_new_table_is_dropped(of_this_test: Databases, template: str) -> None:
    partition = "FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    _, first = used(
        of_this_test, template, f"CREATE TABLE one.next PARTITION OF one.child {partition}"
    )
    with of_this_test.copy(template) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('one.next')").fetchone() == (None,)
    assert used(of_this_test, template)[1] == first


def test_a_database_is_not_found_under_an_earlier_name(
    of_this_test: Databases, template: str
) -> None:
    url, _ = used(of_this_test, template)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_database_is_used_no_more(
    of_this_test: Databases, template: str, change: str
) -> None:
    _, first = used(of_this_test, template, change)
    assert used(of_this_test, template)[1] != first


def test_a_database_with_many_deleted_rows_is_used_no_more(
    of_this_test: Databases, template: str
) -> None:
    _, first = used(of_this_test, template, MANY)
    assert used(of_this_test, template)[1] != first


def test_connections_of_a_test_end_with_it(of_this_test: Databases, template: str) -> None:
    with of_this_test.copy(template) as url:
        left = psycopg.connect(url, autocommit=True)
    with left, pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
