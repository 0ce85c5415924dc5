"""Making our integrations from the configurations of m3ter's hosted ones.

One configuration becomes one integration. It is m3ter's own model: each configuration has one
record type, and its own name, accounts, people who are notified, and state, which several
configurations in one integration could not keep. The minutes of the hour put parents first, as
one integration with several record types does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from m3sync_dagster.discovery.hosted_configurations import (
    HostedConfiguration,
    LeftOut,
    plain,
    read_configuration,
)
from m3sync_dagster.entities import ENTITIES, OTHER_NAMES, EntityType
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError

DESTINATION = "salesforce"
MINUTES_APART = 2
"""Minutes from the run of a record type to that of the next one; the last runs at 8."""
LONGEST_NAME = 50
"""Characters of a name before a record type and a number are added to it."""

Attributes = Mapping[str, object]
"""The attributes of a ``SalesforceSync``, in the order in which the file has them."""

_ENTITY_OF = {plain(entity.name): entity for entity in ENTITIES.values()} | {
    plain(other): ENTITIES[name] for name, other in OTHER_NAMES.items()
}


@dataclass(frozen=True, slots=True)
class ProjectNames:
    """What the integrations take from the project.

    Args:
        m3ter_credential: the credential with which the configurations were read.
        salesforce_credentials: all Salesforce credentials of the project.
        start: the key of the first hour.
    """

    m3ter_credential: str
    salesforce_credentials: Sequence[str]
    start: str


@dataclass(frozen=True, slots=True)
class HostedIntegration:
    """One configuration, and the integration made from it.

    Args:
        hosted: the configuration.
        attributes: those of the integration; ``None`` if there is none.
        left_out: the parts of the configuration that the integration does not have.
        for_salesforce: whether it is for Salesforce, or may be.
        reason: why there is no integration.
    """

    hosted: HostedConfiguration
    attributes: Attributes | None = None
    left_out: tuple[LeftOut, ...] = ()
    for_salesforce: bool = True
    reason: str = ""

    @property
    def name(self) -> str | None:
        """The integration's name."""
        return None if self.attributes is None else str(self.attributes["name"])


def make_integrations(found: Iterable[object], project: ProjectNames) -> list[HostedIntegration]:
    """Make an integration from each configuration for Salesforce, the oldest first.

    Args:
        found: the configurations, as decoded JSON; any of them may be invalid.
        project: what they take from the project.
    """
    read = sorted(_each_once(found), key=lambda one: (one.created, one.id))
    reasons = [_why_not(one) for one in read]
    usable = [one for one, (reason, _) in zip(read, reasons, strict=True) if not reason]
    names, connection = _names(usable), _connection(usable, project.salesforce_credentials)
    return [
        HostedIntegration(one, left_out=one.left_out, for_salesforce=for_salesforce, reason=reason)
        if reason
        else _integration(one, next(names), connection, project)
        for one, (reason, for_salesforce) in zip(read, reasons, strict=True)
    ]


def _each_once(found: Iterable[object]) -> Iterator[HostedConfiguration]:
    """Read the configurations. Pages may repeat one that was moved while they were read."""
    known: set[str] = set()
    for one in map(read_configuration, found):
        if one.id not in known:
            yield one
        known |= {one.id} - {""}


def _why_not(hosted: HostedConfiguration) -> tuple[str, bool]:
    """Why no integration can be made, and whether it is for Salesforce, or may be."""
    if hosted.destination and plain(hosted.destination) != DESTINATION:
        return f"its destination is {hosted.destination}, and m3sync syncs to Salesforce", False
    if hosted.problem:
        return hosted.problem, True
    if not hosted.destination:
        return "m3ter does not say for which destination it is", True
    if not hosted.id:
        return "it has no id", True
    if plain(hosted.entity_type) not in _ENTITY_OF:
        return f"m3sync has no record type {hosted.entity_type or 'without a name'}", True
    return "", True


Connection = tuple[str | None, str]
"""A Salesforce credential or none, and the reason for it."""


def _connection(hosted: Sequence[HostedConfiguration], known: Sequence[str]) -> Connection:
    """Which Salesforce credential the integrations get: m3ter does not give out its own.

    The project's only one is used, if the configurations do not lead to several orgs.
    """
    credentials = {one.credential_id for one in hosted} - {""}
    destinations = {one.destination_id for one in hosted} - {""}
    if len(known) != 1:
        return None, f"the project has {len(known)} of them; choose one with m3sync connect"
    if len(credentials) > 1 or len(destinations) > 1:
        return None, "m3ter's configurations use several; choose one with m3sync connect"
    return known[0], f"{known[0]} is the project's only one; make sure that its org is meant"


def _integration(
    hosted: HostedConfiguration,
    name: str,
    connection: Connection,
    project: ProjectNames,
) -> HostedIntegration:
    entity = _ENTITY_OF[plain(hosted.entity_type)]
    custom_fields, refused = _custom_fields(entity, hosted.custom_fields)
    if hosted.authorized is False:
        connection = None, "it is not connected in m3ter; choose one with m3sync connect"
    connected, reason = connection
    attributes: dict[str, object] = {
        "name": name,
        "m3ter_credential": project.m3ter_credential,
        **({"salesforce_credential": connected} if connected else {}),
        "namespace": hosted.namespace,
        "account_ids": list(hosted.account_ids),
        "restricted_account_ids": list(hosted.restricted_account_ids),
        "notify_users_if_disabled": list(hosted.notify_users),
        "minute_of_hour": MINUTES_APART * list(ENTITIES).index(entity.name),
        "start": project.start,
        "entities": {
            entity.name: {"custom_field_mappings": custom_fields} if custom_fields else {}
        },
    }
    left_out = (
        LeftOut("Salesforce credential", reason),
        LeftOut("enabled", _state(hosted, name)),
        *hosted.left_out,
        *refused,
    )
    return HostedIntegration(hosted, attributes, left_out)


def _state(hosted: HostedConfiguration, name: str) -> str:
    words: dict[bool | None, str] = {
        True: "it is enabled in m3ter",
        False: "it is disabled in m3ter",
        None: "m3ter does not say whether it is enabled",
    }
    state = words[hosted.enabled]
    return f"{state}; here it runs only after m3sync enable {name}"


def _custom_fields(
    entity: EntityType, mappings: Mapping[str, str]
) -> tuple[dict[str, str], list[LeftOut]]:
    """The mappings that m3sync accepts, and why it does not accept the others."""
    accepted, refused = {}, []
    known: dict[str, str] = {}
    for source, target in mappings.items():
        before = known.setdefault(target.casefold(), source)
        if before == source:
            accepted[source] = target
        else:
            reason = f"{before} has the same Salesforce field {target}"
            refused.append(LeftOut(f"custom field {source}", reason))
    while (error := _error(entity, accepted)) is not None:
        wrong = [
            source for source in accepted if error.where[2:] == ("custom_field_mappings", source)
        ]
        for source in wrong or list(accepted):
            del accepted[source]
            refused.append(LeftOut(f"custom field {source}", error.cause))
    return accepted, refused


def _error(entity: EntityType, mappings: Mapping[str, str]) -> ConfigurationError | None:
    try:
        build_mapping(entity, {entity.name: EntityOptions(custom_field_mappings=mappings)}, "")
    except ConfigurationError as error:
        return error
    return None


def _names(hosted: Sequence[HostedConfiguration]) -> Iterator[str]:
    """A name for each configuration, unique among them.

    Names that are equal get the record type, and then a number.
    """
    bases = [_base(one) for one in hosted]
    often, used, numbers = Counter(bases), set[str](), Counter[str]()
    for one, base in zip(hosted, bases, strict=True):
        entity = _ENTITY_OF[plain(one.entity_type)].name
        wanted = base if often[base] == 1 or base.endswith(entity) else f"{base}_{entity}"
        name = wanted
        while name in used:
            numbers[wanted] += 1
            name = f"{wanted}_{numbers[wanted] + 1}"
        used.add(name)
        yield name


def _base(hosted: HostedConfiguration) -> str:
    """The letters and digits of a name, as an integration's name has them."""
    entity = _ENTITY_OF[plain(hosted.entity_type)].name
    ascii_name = unicodedata.normalize("NFKD", hosted.name.casefold())
    words = re.findall(r"[a-z0-9]+", "".join(c for c in ascii_name if not unicodedata.combining(c)))
    base = "_".join(words)[:LONGEST_NAME].strip("_")
    if not base:
        return f"{DESTINATION}_{entity}"
    return base if base[0].isalpha() else f"{entity}_{base}"
