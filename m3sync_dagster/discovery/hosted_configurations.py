"""Reading the configurations of m3ter's hosted integrations, whatever they contain.

Source: m3ter's OpenAPI description, ``IntegrationConfigResponse``, for the fields. m3ter does not
publish the keys of ``configData``; they are recognized by the labels of m3ter's Console, which are
in its guide "Configuring Salesforce entity data integrations".

No value that is not understood is kept or shown, since it may be a secret; only its name is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from m3sync_dagster.entities import M3TER_ID_LENGTH

MOST_NAMES = 50
"""The most unknown names of a configuration that are listed."""
LONGEST_TEXT = 80
"""Characters of a text of m3ter that a message or a comment shows."""

DATA = "configData"
DEFAULT_NAMESPACE = "m3ter_connector"
"""m3ter's own default."""
_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{M3TER_ID_LENGTH}}}", re.ASCII)
_NOT_PLAIN = re.compile(r"[^a-z0-9]")

_AUDIT = ("version", "dtCreated", "dtLastModified", "createdBy", "lastModifiedBy")
_READ = ("id", "name", "entityType", "destination", DATA, "enabled", "authorized", *_AUDIT)
_WITHOUT_EQUIVALENT = {
    "entityId": "an integration of m3sync syncs all records of a type",
    "destinationId": "the Salesforce credential says which org is meant",
    "integrationCredentialsId": "m3ter does not give out its credentials",
    "credentials": "m3ter's credentials are not copied",
    "triggerType": "an integration of m3sync runs every hour",
}
_LABELS = {
    "accountids": "account_ids",
    "restrictedaccountids": "restricted_account_ids",
    "integrationdisablednotificationusers": "notify_users_if_disabled",
    "namespace": "namespace",
    "customfieldmappings": "custom_field_mappings",
    "accountfilter": "account_filter",
}
_NAMESPACES = {
    "customobjects": "custom_objects",
    "m3terconnector": "m3ter_connector",
    "m3terconnectortesting": "m3ter_connector_testing",
}
_SALESFORCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a configuration that is not in the integration made from it.

    Args:
        name: the field or key, without its value.
        reason: why it is left out.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class HostedConfiguration:
    """One configuration, as far as it is understood.

    Args:
        id: m3ter's id; empty without a usable one.
        name, entity_type, destination: as m3ter has them, made fit for one line.
        enabled, authorized: ``None`` if m3ter does not say.
        credential_id, destination_id: which org it is connected to in m3ter, if it says so.
        created: when it was created.
        namespace: in our words.
        account_ids, restricted_account_ids, notify_users: ids, each once.
        custom_fields: m3ter custom field to Salesforce field.
        left_out: what is not understood, or has no equivalent.
        problem: why no integration can be made from it; empty if one can.
    """

    id: str = ""
    name: str = ""
    entity_type: str = ""
    destination: str = ""
    enabled: bool | None = None
    authorized: bool | None = None
    credential_id: str = ""
    destination_id: str = ""
    created: str = ""
    namespace: str = DEFAULT_NAMESPACE
    account_ids: tuple[str, ...] = ()
    restricted_account_ids: tuple[str, ...] = ()
    notify_users: tuple[str, ...] = ()
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    problem: str = ""


def read_configuration(found: object) -> HostedConfiguration:
    """Read one configuration; nothing in it raises an error.

    Args:
        found: the decoded JSON.
    """
    if not isinstance(found, dict):
        return HostedConfiguration(problem="it is not a JSON object")
    left_out = list(_without_equivalent(found))
    data = _Data(found.get(DATA), left_out)
    return HostedConfiguration(
        id=_id(found.get("id")) or "",
        name=one_line(found.get("name")),
        entity_type=one_line(found.get("entityType")),
        destination=one_line(found.get("destination")),
        enabled=_flag(found.get("enabled")),
        authorized=_flag(found.get("authorized")),
        credential_id=_id(found.get("integrationCredentialsId")) or "",
        destination_id=_id(found.get("destinationId")) or "",
        created=one_line(found.get("dtCreated")),
        namespace=data.namespace(),
        account_ids=data.accounts("account_ids"),
        restricted_account_ids=data.accounts("restricted_account_ids"),
        notify_users=data.users(),
        custom_fields=data.custom_fields(),
        left_out=tuple(left_out),
        problem=data.problem(),
    )


def one_line(value: object) -> str:
    """A text of m3ter as one line without control characters, cut if it is long.

    Any other value gives an empty text.
    """
    if not isinstance(value, str):
        return ""
    text = "".join(c if c.isprintable() else " " for c in value[: LONGEST_TEXT * 10])
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


class _Data:
    """The content of ``configData``, and what of it is not understood.

    Args:
        data: the value of the field.
        left_out: collects what is not understood.
    """

    def __init__(self, data: object, left_out: list[LeftOut]) -> None:
        self._readable = data is None or isinstance(data, dict)
        self._left_out = left_out
        self._problems: list[str] = []
        self._values: dict[str, list[tuple[str, object]]] = {}
        unknown = []
        for key, value in (data if isinstance(data, dict) else {}).items():
            if attribute := _LABELS.get(plain(key)):
                self._values.setdefault(attribute, []).append((key, value))
            else:
                unknown.append(key)
        left_out += _unknown(
            [f"{DATA}.{key}" for key in unknown],
            "m3ter does not publish what this key means; see its page in m3ter's Console",
        )

    def namespace(self) -> str:
        """The namespace, or m3ter's default."""
        value = self._value("namespace")
        namespace = _NAMESPACES.get(plain(value)) if isinstance(value, str) else None
        if namespace is None and value is not None:
            self._leave_out("namespace", "it is none of the three namespaces of m3ter's Console")
        elif namespace is None:
            self._leave_out("namespace", "it is not set; m3ter's default is m3ter Connector")
        return namespace or DEFAULT_NAMESPACE

    def accounts(self, attribute: str) -> tuple[str, ...]:
        """A list of account ids. One that cannot be read is a problem: too much would be synced."""
        ids = _ids(self._value(attribute))
        if ids is None:
            self._problems.append(f"{self._keys(attribute)} is not one list of ids")
        return ids or ()

    def users(self) -> tuple[str, ...]:
        """The ids of the users who are notified."""
        ids = _ids(self._value("notify_users_if_disabled"))
        if ids is None:
            self._leave_out("notify_users_if_disabled", "it is not one list of ids")
        return ids or ()

    def custom_fields(self) -> dict[str, str]:
        """The mappings of custom fields that are understood."""
        mappings: dict[str, str] = {}
        unread = 0
        for pair in _pairs(self._value("custom_field_mappings")):
            if pair is None or pair[0] in mappings:
                unread += 1
            else:
                mappings[pair[0]] = pair[1]
        if unread:
            self._leave_out(
                "custom_field_mappings",
                f"{unread} of its entries cannot be read as a custom field and a Salesforce field",
            )
        return mappings

    def problem(self) -> str:
        """Why no integration can be made; empty if one can."""
        if not self._readable:
            return f"{DATA} is not a JSON object, so its account ids are not known"
        if self._value("account_filter") not in (None, "", [], {}):
            keys = self._keys("account_filter")
            self._problems.append(
                f"{keys} selects accounts by an expression; write it by hand as account_filter"
            )
        return "; ".join(self._problems)

    def _value(self, attribute: str) -> object:
        """The value of an attribute; one that nothing accepts if two keys have the same label."""
        found = self._values.get(attribute, [])
        return found[0][1] if len(found) == 1 else None if not found else object()

    def _keys(self, attribute: str) -> str:
        """The key of an attribute; more than one if they have the same label."""
        found = self._values.get(attribute, [])
        return " and ".join(f"{DATA}.{one_line(key)}" for key, _ in found)

    def _leave_out(self, attribute: str, reason: str) -> None:
        self._left_out.append(LeftOut(self._keys(attribute) or f"{DATA}.{attribute}", reason))


def plain(text: object) -> str:
    """Only the letters and digits of a name: ``Account ids`` and ``accountIds`` are one."""
    return _NOT_PLAIN.sub("", str(text).casefold())


def _without_equivalent(found: Mapping[object, object]) -> Iterator[LeftOut]:
    """The fields beside ``configData`` that an integration of m3sync does not have."""
    audit = [name for name in _AUDIT if found.get(name) is not None]
    if audit:
        yield LeftOut(", ".join(audit), "m3ter's own record of changes to the configuration")
    for name, reason in _WITHOUT_EQUIVALENT.items():
        if found.get(name) is not None:
            yield LeftOut(name, reason)
    known = {*_READ, *_WITHOUT_EQUIVALENT}
    unknown = [
        str(name) for name, value in found.items() if name not in known and value is not None
    ]
    yield from _unknown(unknown, "m3ter's description has no such field")


def _unknown(names: list[str], reason: str) -> Iterator[LeftOut]:
    yield from (LeftOut(one_line(name), reason) for name in names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        yield LeftOut(f"{len(names) - MOST_NAMES} more", reason)


def _ids(value: object) -> tuple[str, ...] | None:
    """A list of ids, each once; ``None`` if it is not one."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return None
    ids = [_id(one) for one in value]
    return None if None in ids else tuple(dict.fromkeys(one for one in ids if one))


def _id(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if _ID.fullmatch(text) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _pairs(value: object) -> Iterator[tuple[str, str] | None]:
    """The pairs of custom field and Salesforce field; ``None`` for each that is not understood.

    m3ter does not publish the form. These are understood: an object of names, and a list of objects
    with two texts each, of which exactly one is the API name of a Salesforce custom field.
    """
    if isinstance(value, dict):
        yield from (_pair(str(name), target) for name, target in value.items())
    elif isinstance(value, list):
        yield from map(_pair_of_object, value)
    elif value is not None:
        yield None


def _pair_of_object(value: object) -> tuple[str, str] | None:
    texts = list(value.values()) if isinstance(value, dict) else []
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        return None
    source, target = sorted(texts, key=lambda text: text.endswith("__c"))
    one_is_custom = target.endswith("__c") and not source.endswith("__c")
    return _pair(source, target) if one_is_custom else None


def _pair(source: str, target: object) -> tuple[str, str] | None:
    usable = 0 < len(source) <= LONGEST_TEXT and source == one_line(source)
    fits = isinstance(target, str) and _SALESFORCE_NAME.fullmatch(target)
    return (source, target) if usable and fits and isinstance(target, str) else None
