import os
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from m3sync_dagster.postgres import connect, parse
from m3sync_dagster.sync.errors import ConfigurationError

SECRET = "hunter2"
READ = {
    "postgresql://u:p@h:5/d": {"user": "u", "password": "p", "host": "h", "port": "5"},
    "postgres://u:p@h:5/d": {"user": "u", "password": "p", "host": "h", "port": "5"},
    "postgresql+psycopg://u:p@h/d": {"user": "u", "password": "p", "host": "h"},
    "postgresql+psycopg2://u:p@h/d": {"user": "u", "password": "p", "host": "h"},
    " postgresql://u:p@h/d\n": {"user": "u", "password": "p", "host": "h"},
    "postgresql://u:p%25%2F%40%20@h/d": {"user": "u", "password": "p%/@ ", "host": "h"},
    "postgresql://u:p?#:&+@h/d": {"user": "u", "password": "p?#:&+", "host": "h"},
    "postgresql://u@%2Frun%2Fpg/d": {"user": "u", "host": "/run/pg"},
    "postgresql://u@/d?host=/run/pg&port=5433": {"user": "u", "host": "/run/pg", "port": "5433"},
    "postgresql://u@[::1]:5/d": {"user": "u", "host": "::1", "port": "5"},
    "postgresql://u@[fe80::a%25eth0]/d": {"user": "u", "host": "fe80::a%eth0"},
    "postgresql://u@a:1,b:2/d": {"user": "u", "host": "a,b", "port": "1,2"},
    "postgresql://u@a,b/d": {"user": "u", "host": "a,b"},
    "postgresql://u@/d?host=a,b&port=7": {"user": "u", "host": "a,b", "port": "7,7"},
    "postgresql://h/d?user=u@azure": {"user": "u@azure", "host": "h"},
    "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem": {"sslmode": "verify-full"},
    "postgresql://h/d?passfile=/x/.pgpass": {"passfile": "/x/.pgpass"},
    "postgresql:///?service=billing": {"service": "billing"},
    "service=billing": {"service": "billing"},
    "host=h port=5 dbname=d user=u password='p w'": {"password": "p w", "host": "h"},
}


@pytest.mark.parametrize("given", READ)
def test_every_driver_reads_the_same_address(given: str) -> None:
    address = parse(given)
    assert READ[given].items() <= address.parameters.items()
    assert parse(address.conninfo) == address
    url = make_url(address.sqlalchemy_url("postgresql+psycopg2"))
    _, dagster = url.get_dialect()().create_connect_args(url)
    assert {name: str(value) for name, value in dagster.items()} == address.parameters
    assert psycopg2.extensions.parse_dsn(psycopg2.extensions.make_dsn(**dagster))


REFUSED = {
    f"postgresql://u:{SECRET}%x@h/d": "%25",
    f"postgresql://u:{SECRET}/{SECRET}@h/d": "%2F",
    f"postgresql://u:1/{SECRET}@h/d": "%2F",
    f"postgresql://u:1/?{SECRET}@h/d": "%2F",
    f"postgresql://u:{SECRET}@{SECRET}@h/d": "%40",
    f"postgresql://u:{SECRET} x@h/d": "%20",
    f"postgresql://u:{SECRET}@{SECRET}/@h/d": "%40",
    f"postgresql://h:{SECRET}/d": "port",
    f"postgresql://u:{SECRET}@h:999999/d": "port",
    f"postgresql://u:{SECRET}@a:1,b:2,c/d?port=1,2": "port",
    f"postgresql://u:{SECRET}@h/d?nonsense={SECRET}": "parameter",
    f"postgresql://u:{SECRET}@/d?host=a:1&host=b:2": "host1:port1,host2:port2",
    f"postgresql://u:{SECRET}@/d?host=a:1": "host or port",
    f"postgresql://h/d?password={SECRET}": "no user name",
    f"mysql://u:{SECRET}@h/d": "mysql, not PostgreSQL",
    f"{SECRET} nonsense": "not a database URL",
    f"{SECRET}=x": "parameter",
    f"u:{SECRET}@h/d": "not a database URL",
    f"postgresql:/u:{SECRET}@h/d": "not a database URL",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_is_in_doubt_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(ConfigurationError, match=REFUSED[given]) as refused:
        parse(given)
    assert SECRET not in str(refused.value)
    assert "m3sync dev" not in refused.value.remedy  # which would read the same address
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_address_does_not_show_its_password() -> None:
    address = parse(f"postgresql://u:{SECRET}@h/d")
    assert SECRET not in f"{address!r} {address} {address.place}"


def test_of_several_hosts_the_primary_is_meant() -> None:
    assert parse("postgresql://a,b/d").parameters["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in parse("postgresql://a/d").parameters
    said = parse("postgresql://a,b/d?target_session_attrs=primary")
    assert said.parameters["target_session_attrs"] == "primary"


def test_a_lost_server_is_noticed_unless_the_address_says_otherwise() -> None:
    given = parse("postgresql://h/d?keepalives_idle=7&client_encoding=latin1").parameters
    assert given["keepalives_idle"] == "7"
    assert (given["keepalives_interval"], given["tcp_user_timeout"]) == ("10", "60000")
    assert given["client_encoding"] == "UTF8"


def test_a_service_and_its_password_file_are_used(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = parse(postgres_url).parameters
    services = tmp_path / "services"
    services.write_text(
        f"[billing]\nhost={given['host']}\nuser={given['user']}\ndbname={given['dbname']}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    with connect("postgresql:///?service=billing") as connection:
        assert connection.info.dbname == given["dbname"]
    url = make_url(parse("service=billing").sqlalchemy_url("postgresql+psycopg2"))
    _, dagster = url.get_dialect()().create_connect_args(url)
    connected = psycopg2.connect(**dagster)
    assert connected.info.dbname == given["dbname"]
    connected.close()
    assert os.environ.get("PGHOST") is None
