"""A database whose language is Turkish: I and i are not the same letter, and the order differs."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, connect, migrate
from m3sync_dagster_tests.cli.admin import ACCOUNT, Admin, counts, verified
from m3sync_dagster_tests.cli.conftest import Stage, url_of


@pytest.fixture
def turkish_url(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new, empty database, which the environment names too."""
    name = f"test_{uuid.uuid4().hex}"
    options = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'tr_TR.UTF-8'"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        try:
            server.execute(f"CREATE DATABASE {name} {options}")
        except psycopg.errors.WrongObjectType:
            pytest.skip("this system has no locale tr_TR.UTF-8: install Debian's locales-all")
    url = url_of(postgres_server, name)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT lower('I')").fetchone() == (
            "\N{LATIN SMALL LETTER DOTLESS I}",
        )
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
    yield url
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_name_of_an_object_in_another_case_is_the_same_object(turkish_url: str) -> None:
    migrate(turkish_url)
    with connect(turkish_url) as connection:
        other = PostgresLedger(connection, "other", "account", "run-2")
        other.record_job_requested("INVOICE__c", 1, "abc")
        ours = PostgresLedger(connection, "acme", "account", "run-1")
        assert ours.is_other_job_requested("Invoice__c")


@pytest.mark.slow
@pytest.mark.usefixtures("turkish_url")
def test_a_sync_and_a_repair(stage: Stage, admin: Admin) -> None:
    assert stage.run("migrate").code == 0
    assert stage.run("run", "acme").code == 0
    assert verified(stage)[0] == 0
    first, second, third = sorted(record["m3ter_Id__c"] for record in stage.records(ACCOUNT))[:3]
    admin.edit(ACCOUNT, first, Name="by hand")
    admin.edit(ACCOUNT, second, m3ter_Id__c="ILIK")
    admin.delete(ACCOUNT, third)
    code, found = verified(stage, "--entity", "account")
    assert (code, counts(found["entities"]["account"])) == (1, {"missing": 1, "changed": 2})
    assert verified(stage, "--repair")[0] == 0
    assert stage.run("run", "acme", "--json").json["entities"]["account"]["unchanged"] == 6
