"""Which objects and fields of an org are called like an entity's, whatever their namespace."""

import re
from collections.abc import Iterable, Iterator

from m3sync_dagster.entities import EXTERNAL_ID, EntityType, Field, Kind
from m3sync_dagster.sync.holding import holds_id
from m3sync_dagster.sync.ports import SalesforceField


def namespace_of(api_name: str) -> str:
    """``pkg`` of ``pkg__Thing__c``; empty where there is none."""
    parts = api_name.split("__")
    return parts[0] if len(parts) == 3 else ""


def bare(api_name: str) -> str:
    """An API name without its namespace."""
    namespace = namespace_of(api_name)
    return api_name.removeprefix(f"{namespace}__") if namespace else api_name


def is_called(api_name: str, label: str, entity: EntityType, *, any_name: bool) -> bool:
    """Whether an object goes by an entity's name: ``m3_Account__c``, ``m3 Account``.

    Args:
        api_name: the object's API name.
        label: the object's label.
        entity: the record type.
        any_name: also where neither begins with m3, as in ``Account__c``.
    """
    wanted = {_key(name) for name in (entity.name, entity.label, *entity.aliases)}
    keys = {_key(bare(api_name).removesuffix("__c")), _key(label)}
    return any(
        re.sub("^(m3ter|m3)", "", key) in wanted for key in keys if any_name or key.startswith("m3")
    )


def external_ids(fields: Iterable[SalesforceField]) -> list[str]:
    """The field that is called like our external ID; else those that could be one."""
    usable = [f for f in fields if holds_id(f) and f.external_id is not False]
    ours = [f.name for f in usable if bare(f.name) == EXTERNAL_ID]
    wanted = {_field_key(EXTERNAL_ID), "m3id"}
    called = [f.name for f in usable if _field_key(f.name) in wanted or _key(f.label) in wanted]
    return ours or sorted(called) or sorted(f.name for f in usable if f.external_id and f.unique)


def by_name(carried: Field, fields: Iterable[SalesforceField]) -> Iterator[SalesforceField]:
    """Fields that have our field's API name."""
    wanted = carried.salesforce.casefold()
    return (f for f in fields if bare(f.name).casefold() == wanted)


def by_source(carried: Field, fields: Iterable[SalesforceField]) -> Iterator[SalesforceField]:
    """Fields whose API name is our field's or m3ter's, but for case and underscores."""
    wanted = _keys_of(carried)
    return (f for f in fields if _field_key(f.name) in wanted)


def by_label(carried: Field, fields: Iterable[SalesforceField]) -> Iterator[SalesforceField]:
    """Fields whose label is such a name."""
    wanted = _keys_of(carried)
    return (f for f in fields if _key(f.label) in wanted)


def _keys_of(carried: Field) -> set[str]:
    """Under which names a field could go; a lookup also under that of the record it points to."""
    keys = {_key(carried.source.rsplit(".", 1)[-1]), _field_key(carried.salesforce)}
    if carried.kind is Kind.LOOKUP:
        keys |= {key.removesuffix("id") for key in keys}
        keys |= {f"m3{key}" for key in keys} | {f"m3ter{key}" for key in keys}
    return keys


def _key(name: str) -> str:
    """Letters and digits alone: ``Email_Address`` and ``emailAddress`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _field_key(api_name: str) -> str:
    return _key(bare(api_name).removesuffix("__c"))
