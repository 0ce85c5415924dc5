"""An integration's configuration, checked and with its defaults filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import xxhash

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.guard.health_policy import RejectLimit
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping

NAME = re.compile(r"[a-z][a-z0-9_]*")
"""The names of integrations and credentials, which are part of asset keys and tags."""
PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
"""How Dagster writes the key of an hourly partition."""
NAMESPACES = ("custom_objects", "m3ter_connector", "m3ter_connector_testing")
"""Which Salesforce objects are written: m3sync's own, or those of m3ter's managed package."""


class UnknownPrefixError(ConfigurationError):
    """The managed package's prefix is not in the YAML."""


@dataclass(frozen=True)
class Notify:
    """Who is notified of an integration's changes of state, rejected rows included.

    Args:
        users: m3ter user ids, who get a mail.
        urls_env: the environment variable with the URLs of channels, as Apprise writes them.
        rejected_rows: people are told once so many rows are rejected.
        rejected_share: or once this share of the records is rejected.

    Raises:
        ConfigurationError: a value is invalid; ``where`` names it.
    """

    users: tuple[str, ...] = ()
    urls_env: str | None = None
    rejected_rows: int | None = None
    rejected_share: float | None = None

    def __post_init__(self) -> None:
        _require(
            bool(self.users or self.urls_env),
            "nobody is to be notified",
            "List m3ter user ids under users, or name a variable with URLs in urls_env.",
            "notify",
        )
        _require(
            self.rejected_rows is None or self.rejected_rows >= 1,
            f"{self.rejected_rows} is not a number of rejected rows",
            "Use 1 or more, or leave it out.",
            "notify",
            "rejected_rows",
        )
        _require(
            self.rejected_share is None or 0 < self.rejected_share <= 1,
            f"{self.rejected_share} is not a share of the records",
            "Use a number above 0 and up to 1, such as 0.05, or leave it out.",
            "notify",
            "rejected_share",
        )

    @property
    def limit(self) -> RejectLimit:
        """How many rejected rows people are notified of; without a limit, of the first one."""
        if self.rejected_rows is None and self.rejected_share is None:
            return RejectLimit(rows=1)
        return RejectLimit(self.rejected_rows, self.rejected_share)


@dataclass(frozen=True)
class Integration:
    """One integration.

    Args:
        name: unique among all integrations.
        m3ter_credential, salesforce_credential: names of credentials; no Salesforce credential
            means that the integration is not connected.
        namespace: one of ``NAMESPACES``.
        namespace_prefix: the managed package's prefix, with or without its two underscores.
        minute_of_hour: if it is left out, 0 to 9, derived from the name.
        start: key of the first hourly partition, UTC.
        notify_users_if_disabled: m3ter user ids.
        notify: who else is notified of changes, and of how many rejected rows.
        entities: the options of each entity type that is carried, by name.

    Raises:
        ConfigurationError: a value is invalid; ``where`` names it.
    """

    name: str
    m3ter_credential: str
    salesforce_credential: str | None = None
    namespace: str = "m3ter_connector"
    namespace_prefix: str | None = None
    minute_of_hour: int | None = None
    start: str = "2026-01-01-00:00"
    notify_users_if_disabled: tuple[str, ...] = ()
    notify: Notify | None = None
    entities: Mapping[str, EntityOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        _require(
            bool(self.entities),
            "no entity is carried",
            f"List at least one of {', '.join(ENTITIES)} under entities.",
            "entities",
        )
        _require(
            self.namespace in NAMESPACES,
            f"{self.namespace!r} is not a namespace",
            f"Use one of {', '.join(NAMESPACES)}.",
            "namespace",
        )
        _require(
            self.minute_of_hour is None or 0 <= self.minute_of_hour <= 59,
            f"{self.minute_of_hour} is not a minute of the hour",
            "Use 0 to 59, or leave it out.",
            "minute_of_hour",
        )
        _require(
            self.namespace_prefix is None or self.namespace != "custom_objects",
            "m3sync's custom objects have no namespace prefix",
            "Delete namespace_prefix, or choose the namespace m3ter_connector.",
            "namespace_prefix",
        )
        _require_partition(self.start)
        # Contradictions in a mapping do not depend on the prefix.
        self.mappings_under(self.namespace_prefix or "")

    @property
    def connected(self) -> bool:
        """Whether a Salesforce credential is set."""
        return self.salesforce_credential is not None

    @property
    def minute(self) -> int:
        """The minute at which the schedule ticks; the default spreads integrations out."""
        if self.minute_of_hour is not None:
            return self.minute_of_hour
        return xxhash.xxh32_intdigest(self.name.encode()) % 10

    @property
    def prefix_known(self) -> bool:
        """Whether the names of Salesforce objects and fields are known without reading the org."""
        return self.namespace == "custom_objects" or bool(self.namespace_prefix)

    def next_tick(self, now: datetime) -> datetime:
        """The schedule's next tick after a moment."""
        tick = now.replace(minute=self.minute, second=0, microsecond=0)
        return tick if tick > now else tick + timedelta(hours=1)

    def next_due(self, now: datetime) -> str:
        """The schedule's next tick after a moment as text, in UTC to the minute."""
        return f"{self.next_tick(now):%Y-%m-%d %H:%M} UTC"

    @cached_property
    def mappings(self) -> dict[str, FieldMapping]:
        """Each entity's mapping, parents before their children.

        Raises:
            UnknownPrefixError: the managed package's prefix is not known.
        """
        if not self.prefix_known:
            raise UnknownPrefixError(
                f"the integration {self.name} uses the namespace {self.namespace}, "
                "and the prefix of m3ter's managed package is not known",
                f"Run m3sync check {self.name}: it finds the package in the org and proposes a "
                "mapping. Or set namespace_prefix to the one that Salesforce's Setup shows under "
                "Installed Packages, or use namespace: custom_objects.",
                ("namespace",),
            )
        return self.mappings_under(self.namespace_prefix or "")

    def mappings_under(self, prefix: str) -> dict[str, FieldMapping]:
        """Each entity's mapping, with a prefix before every default object and field."""
        full = f"{prefix.rstrip('_')}__" if prefix else ""
        return {
            name: build_mapping(entity, self.entities, full)
            for name, entity in ENTITIES.items()
            if name in self.entities
        }


def current_hour() -> str:
    """The key of the hour that it is now, with which a new integration begins."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H}:00"


def check_name(name: str) -> None:
    """Make sure that a name is valid in asset keys, resource keys and tags.

    Raises:
        ConfigurationError: it is not.
    """
    _require(
        bool(NAME.fullmatch(name)),
        f"{name!r} is not a valid name",
        "Use lowercase letters, digits and underscores, and begin with a letter.",
        "name",
    )


def _require(valid: bool, cause: str, remedy: str, *where: str) -> None:  # noqa: FBT001 - an assertion
    if not valid:
        raise ConfigurationError(cause, remedy, where)


def _require_partition(start: str) -> None:
    try:
        first = datetime.strptime(start, PARTITION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        first = None
    _require(
        first is not None and first.minute == 0,
        f"{start!r} is not the start of an hour",
        "Write it as 2026-01-31-00:00, in UTC.",
        "start",
    )
