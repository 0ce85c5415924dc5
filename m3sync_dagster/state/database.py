"""The way to PostgreSQL. Dagster's storage and our state share one database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

POSTGRES_URL = "M3SYNC_POSTGRES_URL"
"""The environment variable that holds the database's address."""

_REMEDY = (
    f"Set {POSTGRES_URL} to postgresql://user:password@host:port/database, "
    "or start m3sync dev, which brings a PostgreSQL of its own."
)


def postgres_url() -> str:
    """The address from the environment, in whatever SQLAlchemy form it was given.

    Raises:
        ConfigurationError: it is not set.
    """
    url = os.environ.get(POSTGRES_URL)
    if not url:
        raise ConfigurationError(f"the environment variable {POSTGRES_URL} is not set", _REMEDY)
    return url


def sqlalchemy_url(url: str) -> URL:
    """The address for SQLAlchemy with our driver, psycopg 3, whichever driver it names.

    Raises:
        ConfigurationError: it is no PostgreSQL address. The address itself is not repeated,
            since it may hold a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(f"{POSTGRES_URL} is not a database URL", _REMEDY) from None
    if not parsed.drivername.startswith("postgres"):
        raise ConfigurationError(
            f"{POSTGRES_URL} names the database system {parsed.drivername}, not PostgreSQL",
            _REMEDY,
        )
    return parsed.set(drivername="postgresql+psycopg")


def libpq_url(url: str) -> str:
    """The address in the form that PostgreSQL's own programs and psycopg take."""
    return sqlalchemy_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def connect(url: str) -> psycopg.Connection:
    """Open a connection that commits each statement by itself, unless in a transaction block.

    Raises:
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    try:
        return psycopg.connect(libpq_url(url), autocommit=True, application_name="m3sync")
    except psycopg.OperationalError as error:
        raise RemoteError(
            f"PostgreSQL at {sqlalchemy_url(url).set(password=None).host or 'its local socket'} "
            f"does not let us in ({_first_line(error)})",
            f"Start it, or correct {POSTGRES_URL}.",
        ) from None


@contextmanager
def translate_connection_errors() -> Iterator[None]:
    """Tell in words of a connection that breaks while the block lasts.

    Raises:
        RemoteError: it did.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        raise RemoteError(
            f"the connection to PostgreSQL broke off ({_first_line(error)})",
            "Look after the database server; the next run goes on where this one stopped.",
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
