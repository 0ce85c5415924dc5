"""Explanations of PostgreSQL's errors, and their remedies."""

import re
from typing import NamedTuple

import psycopg
import psycopg2

from m3sync_dagster.postgres.address import POSTGRES_URL
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError, SyncError


class _Meaning(NamedTuple):
    kind: type[SyncError]
    cause: str
    remedy: str


_NEXT_RUN = "The next run sends the rest."
_TIMEOUT = "Run ALTER ROLE name SET {} = 0 for the role that m3sync logs in with."
_SERVER_SIDE = _Meaning(
    RemoteError,
    "PostgreSQL has ended the connection: it stops, restarts or has crashed, or a person ended it",
    f"Make sure that the database server runs. {_NEXT_RUN}",
)
_CHANGED = _Meaning(
    RemoteError,
    "PostgreSQL does not have the tables of this version of m3sync",
    "Run: m3sync migrate. If that changes nothing, undo what was changed by hand.",
)
_ENCODING = _Meaning(
    ConfigurationError,
    "the database cannot store a character, because its encoding is not UTF8",
    "Create a database with ENCODING 'UTF8' TEMPLATE template0, move the data there with pg_dump, "
    f"and set {POSTGRES_URL} to it.",
)
_READ_ONLY = _Meaning(
    RemoteError,
    "PostgreSQL is read-only here: this server is a standby, or was made read-only",
    f"Set {POSTGRES_URL} to the primary server; name several hosts, separated by commas, and "
    "m3sync finds the primary by itself.",
)
_LOGIN = _Meaning(
    RemoteError,
    "PostgreSQL refuses the login",
    f"Correct the user and the password in {POSTGRES_URL}, or the server's pg_hba.conf.",
)
_POOLED = _Meaning(
    ConfigurationError,
    "a proxy in front of PostgreSQL has changed the server connection during a session",
    f"Set {POSTGRES_URL} to PostgreSQL itself, or to a pool in session mode.",
)
_TOO_MANY = _Meaning(
    RemoteError,
    "PostgreSQL has too many connections",
    "Raise max_connections, or the role's CONNECTION LIMIT; or lower max_concurrent_runs in "
    "dagster.yaml.",
)
_NO_DATABASE = _Meaning(
    RemoteError,
    "PostgreSQL does not have this database",
    f"Create it with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0, or correct "
    f"{POSTGRES_URL}.",
)
_UNREACHABLE = _Meaning(
    RemoteError, "PostgreSQL cannot be reached", f"Start it, or correct {POSTGRES_URL}."
)
_CONFLICT = _Meaning(
    RemoteError, "PostgreSQL cancelled a statement that conflicted with another", _NEXT_RUN
)

_BY_STATE = {
    "25006": _READ_ONLY,
    "25P03": _Meaning(
        RemoteError,
        "PostgreSQL ended a transaction that was idle for too long",
        _TIMEOUT.format("idle_in_transaction_session_timeout"),
    ),
    "25P04": _Meaning(
        RemoteError,
        "PostgreSQL ended a transaction that took longer than its transaction_timeout",
        _TIMEOUT.format("transaction_timeout"),
    ),
    "57P05": _Meaning(
        RemoteError,
        "PostgreSQL ended a connection that was idle for too long",
        _TIMEOUT.format("idle_session_timeout"),
    ),
    "57014": _Meaning(
        RemoteError,
        "PostgreSQL cancelled a statement: it took longer than statement_timeout, or a person "
        "cancelled it",
        _TIMEOUT.format("statement_timeout"),
    ),
    "55P03": _Meaning(
        RemoteError,
        "PostgreSQL did not get a lock in time",
        f"Look in pg_stat_activity for a session that keeps m3sync's tables locked. {_NEXT_RUN}",
    ),
    "53100": _Meaning(
        RemoteError,
        "the disk of the database server is full",
        f"Free disk space there. {_NEXT_RUN}",
    ),
    "53200": _Meaning(
        RemoteError,
        "the database server has no memory left",
        f"Give it more, or lower its work_mem or max_connections. {_NEXT_RUN}",
    ),
    "53300": _TOO_MANY,
    "53400": _Meaning(
        RemoteError,
        "PostgreSQL has reached a configured limit, such as temp_file_limit",
        "Raise the limit that PostgreSQL's message names.",
    ),
    "57P01": _SERVER_SIDE,
    "57P02": _SERVER_SIDE,
    "57P03": _SERVER_SIDE,
    "28000": _LOGIN,
    "28P01": _LOGIN,
    "3D000": _NO_DATABASE,
    "42501": _Meaning(
        ConfigurationError,
        "the user of m3sync has no right to do this in PostgreSQL",
        "Make it the owner of the database, or grant it what PostgreSQL's message names.",
    ),
    "3F000": _CHANGED._replace(kind=ConfigurationError),
    "42P01": _CHANGED,
    "42703": _CHANGED,
    "42883": _CHANGED,
    "22P05": _ENCODING,
    "22021": _ENCODING,
    "26000": _POOLED,
    "42P05": _POOLED,
    "40001": _CONFLICT,
    "40P01": _CONFLICT,
}
"""Meanings by SQLSTATE. Source: PostgreSQL documentation, "PostgreSQL Error Codes"."""

_BY_TEXT = {
    r"too many (clients|connections)|remaining connection slots|no more connections": _TOO_MANY,
    r"password|pg_hba\.conf|role \".*\" (does not exist|is not permitted)|authentication": _LOGIN,
    r"database \".*\" does not exist|no such database": _NO_DATABASE,
    r"starting up|shutting down|recovery mode|not yet accepting|terminat": _SERVER_SIDE,
    r"session is read-only|hot standby": _READ_ONLY,
    r"unsupported startup parameter": _Meaning(
        ConfigurationError,
        "the proxy in front of PostgreSQL does not accept `options`",
        f"Leave options out of {POSTGRES_URL} and PGOPTIONS, or add options to "
        "ignore_startup_parameters in pgbouncer.ini.",
    ),
    r"certificate|SSL|sslmode": _Meaning(
        RemoteError,
        "no encrypted connection to PostgreSQL could be made",
        f"Correct sslmode, sslrootcert, sslcert and sslkey in {POSTGRES_URL}, or the server's "
        "certificate.",
    ),
    r"refused$|could not translate|timed? ?out|No route to host|No such file": _UNREACHABLE,
    r"service file|definition of service": _Meaning(
        ConfigurationError,
        f"the service that {POSTGRES_URL} names is not defined",
        "Define it in ~/.pg_service.conf, or in the file that PGSERVICEFILE names.",
    ),
    # A severity with a colon and two blanks begins the server's own message, in its own language.
    r"failed: [^\s:]+:  ": _Meaning(
        RemoteError,
        "PostgreSQL refuses the connection",
        f"Follow its message: correct the server's settings, or {POSTGRES_URL}.",
    ),
}
"""Meanings of failed logins, for which libpq gives only a text."""

_BROKEN = _Meaning(
    RemoteError,
    "the connection to PostgreSQL was lost",
    f"Make sure that the database server runs and can be reached. {_NEXT_RUN}",
)
_VALUE = _Meaning(
    RemoteError,
    "a value cannot be stored in PostgreSQL",
    "Remove the character or the number that the message names where the value comes from.",
)
_OTHER = _Meaning(
    RemoteError,
    "PostgreSQL refused a statement",
    "If m3sync's tables were changed by hand, undo that; else report this message.",
)


def explain(error: BaseException) -> SyncError | None:
    """Explain an error of PostgreSQL; ``None`` for any other error.

    Args:
        error: of psycopg, psycopg2, SQLAlchemy or Dagster's storage.
    """
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, psycopg.Error | psycopg2.Error):
        reason = getattr(reason, "orig", None) or reason.__cause__
    if reason is None:
        return None
    state = getattr(reason, "sqlstate", None) or getattr(reason, "pgcode", None)
    meaning = _meaning(state, reason)
    cause = f"{meaning.cause} ({first_line(reason)})"
    return meaning.kind(cause, meaning.remedy)


def explain_refusal(place: str, error: Exception) -> SyncError:
    """Explain a failed connection.

    Args:
        place: the server, for the message.
        error: of the driver.
    """
    text = first_line(error)
    found = _by_text(str(error)) or _UNREACHABLE
    return found.kind(f"{found.cause} (at {place}: {text})", found.remedy)


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _meaning(state: str | None, reason: BaseException) -> _Meaning:
    if state in _BY_STATE:
        return _BY_STATE[state]
    if state is None and isinstance(reason, psycopg.DataError | psycopg2.DataError):
        return _VALUE
    if state is None or state.startswith("08"):
        return _by_text(str(reason)) or _BROKEN
    return _OTHER


def _by_text(text: str) -> _Meaning | None:
    for pattern, meaning in _BY_TEXT.items():
        if re.search(pattern, text, re.MULTILINE):
            return meaning
    return None
