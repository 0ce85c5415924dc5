"""Which objects and fields of an org are called like an entity's, whatever their namespace."""

import re
from collections.abc import Callable, Iterable

from m3sync_dagster.entities import EXTERNAL_ID, EntityType, Field, FieldKind
from m3sync_dagster.sync.salesforce_schema import SalesforceField
from m3sync_dagster.sync.type_compatibility import holds_id

CUSTOM = "__c"
"""How the API names of custom objects and fields end, and of nothing else.

Source: SOAP API Developer Guide, "API Names of Custom Objects and Fields"; events end in ``__e``,
custom metadata types in ``__mdt``.
"""


def namespace_of(api_name: str) -> str:
    """``pkg`` of ``pkg__Thing__c``; empty where there is none."""
    parts = api_name.split("__")
    return parts[0] if len(parts) == 3 else ""


def bare(api_name: str) -> str:
    """An API name without its namespace."""
    namespace = namespace_of(api_name)
    return api_name.removeprefix(f"{namespace}__") if namespace else api_name


def is_called(api_name: str, label: str, entity: EntityType, *, any_name: bool) -> bool:
    """Whether a custom object goes by an entity's name: ``m3_Account__c``, ``m3 Account``.

    Args:
        api_name: the object's API name.
        label: the object's label.
        entity: the record type.
        any_name: also where neither begins with m3, as in ``Account__c``.
    """
    keys = {_field_key(api_name), _key(label)} if api_name.endswith(CUSTOM) else set()
    return any(
        _without_m3(key) in _words(entity) for key in keys if any_name or key.startswith("m3")
    )


def external_ids(entity: EntityType, fields: Iterable[SalesforceField]) -> list[SalesforceField]:
    """The fields that are called like our external ID; else those that could be one."""
    usable = [f for f in fields if holds_id(f) and f.external_id is not False]
    unique = [f for f in usable if f.external_id and f.unique]
    choices = (
        [f for f in usable if bare(f.name) == EXTERNAL_ID],
        [f for f in unique if is_id(entity, f)],
        [f for f in usable if is_id(entity, f)],
        unique,
    )
    return sorted(next(filter(None, choices), []), key=lambda f: f.name)


def is_id(entity: EntityType, field: SalesforceField) -> bool:
    """Whether a field is called like the id of an entity's record: ``m3 Id``, ``Account Id``."""
    forms = _forms(entity, bare(field.name).removesuffix(CUSTOM), field.label)
    return not forms.isdisjoint({"id", "externalid"})


Alike = Callable[[EntityType, Field, SalesforceField], bool]


def _by_name(_entity: EntityType, carried: Field, field: SalesforceField) -> bool:
    """It has our field's API name."""
    return bare(field.name).casefold() == carried.salesforce.casefold()


def _by_source(_entity: EntityType, carried: Field, field: SalesforceField) -> bool:
    """Its API name is our field's or m3ter's, but for case and underscores."""
    return _field_key(field.name) in _keys_of(carried)


def _by_label(_entity: EntityType, carried: Field, field: SalesforceField) -> bool:
    """Its label is such a name."""
    return _key(field.label) in _keys_of(carried)


def _loosely(entity: EntityType, carried: Field, field: SalesforceField) -> bool:
    """One of both is, but for m3 or the entity before it, Id behind it, and what is in brackets."""
    if carried.kind is FieldKind.TITLE:
        return False
    last = carried.source.rsplit(".", 1)[-1]
    ours = _forms(entity, last, carried.salesforce.removesuffix(CUSTOM), *carried.aliases)
    return not ours.isdisjoint(_forms(entity, bare(field.name).removesuffix(CUSTOM), field.label))


LIKENESSES: tuple[Alike, ...] = (_by_name, _by_source, _by_label, _loosely)
"""In which ways a field can be called like one of an entity's, the surest first."""
BY_LABEL = frozenset({_by_label, _loosely})
"""Those that a person should look through."""


def _keys_of(carried: Field) -> set[str]:
    """Under which names a field could go; a lookup also under that of the record it points to."""
    if carried.kind is FieldKind.TITLE:
        return set()  # a title is cut to fit, so it goes to Salesforce's own Name alone
    keys = {_key(carried.source.rsplit(".", 1)[-1]), _field_key(carried.salesforce)}
    if carried.kind is FieldKind.LOOKUP:
        keys |= {key.removesuffix("id") for key in keys}
        keys |= {f"m3{key}" for key in keys} | {f"m3ter{key}" for key in keys}
    return keys


def _forms(entity: EntityType, *names: str) -> set[str]:
    """Everything that is left of names when what says little is taken off."""
    forms = {_without_m3(_key(re.sub(r"\(.*?\)", "", name))) for name in names}
    for word in sorted(_words(entity)):
        forms |= {form.removeprefix(word) for form in forms}
    return (forms | {form.removesuffix("id") for form in forms}) - {""}


def _words(entity: EntityType) -> set[str]:
    return {_key(name) for name in (entity.name, entity.label, *entity.aliases)}


def _without_m3(key: str) -> str:
    return re.sub("^(m3ter|m3)", "", key)


def _key(name: str) -> str:
    """Letters and digits alone: ``Email_Address`` and ``emailAddress`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _field_key(api_name: str) -> str:
    return _key(bare(api_name).removesuffix(CUSTOM))
