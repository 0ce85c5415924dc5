"""One parser of the database's address, for every driver: psycopg, psycopg2 and SQLAlchemy's URLs.

libpq reads the address, so all of libpq's forms work: several hosts, sockets, ``service=``,
``sslmode=``, ``.pgpass``. An address that libpq would misread is refused.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from urllib.parse import parse_qsl

import psycopg
import psycopg2
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg2.extensions import parse_dsn
from sqlalchemy.engine import URL

from m3sync_dagster.sync.errors import ConfigurationError

POSTGRES_URL = "M3SYNC_POSTGRES_URL"
"""The environment variable that holds the database's address."""

_FORM = (
    f"Set {POSTGRES_URL} to postgresql://user:password@host:port/database, "
    "or unset it: the m3sync commands then start a PostgreSQL of their own."
)
_ENCODE = (
    f"In {POSTGRES_URL}, write special characters of the user name and the password with percent "
    "codes: % as %25, / as %2F, @ as %40, a space as %20."
)
_DEFAULTS = {
    "connect_timeout": "10",
    # A lost connection is detected within about a minute, not after hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "m3sync",
}
"""Default connection parameters.

Source: PostgreSQL documentation, "Parameter Key Words".
"""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the database, with the login.

    Args:
        parameters: libpq's connection parameters by key word. They may contain a password, so
            they are not in the repr.
    """

    parameters: dict[str, str] = field(repr=False)

    @property
    def conninfo(self) -> str:
        """The address in psycopg's form."""
        return make_conninfo("", **self.parameters)

    @property
    def place(self) -> str:
        """The hosts in words, for messages."""
        hosts = self.parameters.get("host") or self.parameters.get("hostaddr")
        if "service" in self.parameters and not hosts:
            return f"the service {self.parameters['service']}"
        return hosts or "its local socket"

    def sqlalchemy_url(self, drivername: str) -> str:
        """The address as SQLAlchemy's URL, with its password."""
        given = dict(self.parameters)
        url = URL.create(
            drivername,
            username=given.pop("user", None),
            password=given.pop("password", None),
            database=given.pop("dbname", None),
            query=given,
        )
        return url.render_as_string(hide_password=False)


def parse(text: str) -> Address:
    """Read an address, as a URL or in libpq's ``key=value`` form.

    Raises:
        ConfigurationError: it is not an address, or is ambiguous. The message contains no part of
            it, since any part may belong to the password.
    """
    text = text.strip()
    scheme = re.match(r"([A-Za-z][\w+.-]*)://", text)
    if scheme:
        text = _libpq_url(scheme[1], text[scheme.end() :])
    parameters = _read(text)
    _require_plain_hosts(parameters)
    if "password" in parameters and "user" not in parameters:
        raise ConfigurationError(f"{POSTGRES_URL} has a password and no user name", _FORM)
    if "," in parameters.get("host", ""):
        # Of several servers, only the primary is writable.
        parameters.setdefault("target_session_attrs", "read-write")
    return Address(_DEFAULTS | parameters | {"client_encoding": "UTF8"})


def _libpq_url(scheme: str, rest: str) -> str:
    """The URL without SQLAlchemy's driver, if its parts are unambiguous."""
    system = scheme.partition("+")[0].lower()
    if system not in {"postgres", "postgresql"}:
        raise ConfigurationError(
            f"{POSTGRES_URL} names the database system {system}, not PostgreSQL", _FORM
        )
    login, at, after = rest.partition("@")
    if at and ("@" in after.partition("?")[0] or ("/" in login and "?" not in login)):
        raise ConfigurationError(
            f"{POSTGRES_URL} has a / or @ in the user name or the password", _ENCODE
        )
    query = (after if at else rest).partition("?")[2]
    counted = Counter(name for name, _ in parse_qsl(query))
    if any(times > 1 for times in counted.values()):
        raise ConfigurationError(
            f"{POSTGRES_URL} gives a parameter twice",
            "Write several hosts as postgresql://user:password@host1:port1,host2:port2/database.",
        )
    return f"postgresql://{rest}"


def _read(text: str) -> dict[str, str]:
    if "=" not in text and "://" not in text:
        raise ConfigurationError(f"{POSTGRES_URL} is not a database URL", _FORM)
    try:
        parse_dsn(text)  # the libpq of psycopg2 may be an older one, which knows fewer parameters
        return {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except (psycopg.Error, psycopg2.Error):
        raise ConfigurationError(
            f"{POSTGRES_URL} cannot be read: a special character is not encoded, or there is a "
            "parameter that PostgreSQL's library does not know",
            f"{_ENCODE} For the parameters see PostgreSQL's documentation of libpq.",
        ) from None


def _require_plain_hosts(parameters: dict[str, str]) -> None:
    """Refuse invalid hosts and ports, such as a part of a password."""
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = parameters.get("port", "").split(",")
    plain = all(port == "" or re.fullmatch(r"[0-9]{1,5}", port) for port in ports)
    if not plain or any(map(_is_odd, hosts)) or len(ports) not in {1, len(hosts)}:
        raise ConfigurationError(
            f"{POSTGRES_URL} has no valid host or port where one belongs", f"{_FORM} {_ENCODE}"
        )
    if len(ports) < len(hosts) and ports[0]:
        parameters["port"] = ",".join(ports * len(hosts))  # SQLAlchemy wants one for each


def _is_odd(host: str) -> bool:
    """Whether it is not a host name, an address or the folder of a socket."""
    if host.startswith(("/", "@")):
        return False
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            return True
    return bool(re.search(r"[@\s/]", host))
