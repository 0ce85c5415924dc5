"""Finding objects and fields that are named like an entity's, in any namespace."""

import re
from collections.abc import Callable, Iterable

from m3sync_dagster.entities import EXTERNAL_ID, EntityType, Field, FieldKind
from m3sync_dagster.sync.salesforce_schema import SalesforceField
from m3sync_dagster.sync.type_compatibility import can_hold_id

CUSTOM = "__c"
"""The suffix of the API names of custom objects and fields.

Source: SOAP API Developer Guide, "API Names of Custom Objects and Fields"; events end in ``__e``,
custom metadata types in ``__mdt``.
"""


def namespace_of(api_name: str) -> str:
    """``pkg`` of ``pkg__Thing__c``; empty without a namespace."""
    parts = api_name.split("__")
    return parts[0] if len(parts) == 3 else ""


def without_namespace(api_name: str) -> str:
    """An API name without its namespace."""
    namespace = namespace_of(api_name)
    return api_name.removeprefix(f"{namespace}__") if namespace else api_name


def has_entity_name(api_name: str, label: str, entity: EntityType, *, any_name: bool) -> bool:
    """Whether a custom object has an entity's name: ``m3_Account__c``, ``m3 Account``.

    Args:
        api_name: the object's API name.
        label: the object's label.
        entity: the record type.
        any_name: also names that do not begin with m3, such as ``Account__c``.
    """
    keys = {_field_key(api_name), _key(label)} if api_name.endswith(CUSTOM) else set()
    return any(
        _without_m3(key) in _words(entity) for key in keys if any_name or key.startswith("m3")
    )


def external_ids(entity: EntityType, fields: Iterable[SalesforceField]) -> list[SalesforceField]:
    """The fields that are named like our external ID; else those that could be one."""
    usable = [f for f in fields if can_hold_id(f) and f.external_id is not False]
    unique = [f for f in usable if f.external_id and f.unique]
    choices = (
        [f for f in usable if without_namespace(f.name) == EXTERNAL_ID],
        [f for f in unique if is_id(entity, f)],
        [f for f in usable if is_id(entity, f)],
        unique,
    )
    return sorted(next(filter(None, choices), []), key=lambda f: f.name)


def is_id(entity: EntityType, field: SalesforceField) -> bool:
    """Whether a field is named like the id of an entity's record: ``m3 Id``, ``Account Id``."""
    forms = _shortened_names(
        entity, without_namespace(field.name).removesuffix(CUSTOM), field.label
    )
    return not forms.isdisjoint({"id", "externalid"})


NameMatch = Callable[[EntityType, Field, SalesforceField], bool]


def _by_name(_entity: EntityType, source_field: Field, field: SalesforceField) -> bool:
    """Match by the API name of our Salesforce field."""
    return without_namespace(field.name).casefold() == source_field.salesforce.casefold()


def _by_source(_entity: EntityType, source_field: Field, field: SalesforceField) -> bool:
    """Match by our API name or m3ter's field name, ignoring case and underscores."""
    return _field_key(field.name) in _accepted_names(source_field)


def _by_label(_entity: EntityType, source_field: Field, field: SalesforceField) -> bool:
    """Match by label in the same way."""
    return _key(field.label) in _accepted_names(source_field)


def _by_partial_name(entity: EntityType, source_field: Field, field: SalesforceField) -> bool:
    """Match by API name or label, ignoring m3, the entity's name, Id and text in brackets."""
    if source_field.kind is FieldKind.TITLE:
        return False
    last = source_field.source.rsplit(".", 1)[-1]
    ours = _shortened_names(
        entity, last, source_field.salesforce.removesuffix(CUSTOM), *source_field.aliases
    )
    return not ours.isdisjoint(
        _shortened_names(entity, without_namespace(field.name).removesuffix(CUSTOM), field.label)
    )


NAME_MATCHES: tuple[NameMatch, ...] = (_by_name, _by_source, _by_label, _by_partial_name)
"""The rules by which names match, the most reliable first."""
BY_LABEL = frozenset({_by_label, _by_partial_name})
"""The rules whose matches a person should check."""


def _accepted_names(source_field: Field) -> set[str]:
    """The names that match a field; for a lookup also that of the record it points to."""
    if source_field.kind is FieldKind.TITLE:
        return set()  # a title is cut to fit, so it is only for Salesforce's own Name
    keys = {_key(source_field.source.rsplit(".", 1)[-1]), _field_key(source_field.salesforce)}
    if source_field.kind is FieldKind.LOOKUP:
        keys |= {key.removesuffix("id") for key in keys}
        keys |= {f"m3{key}" for key in keys} | {f"m3ter{key}" for key in keys}
    return keys


def _shortened_names(entity: EntityType, *names: str) -> set[str]:
    """Names without their general parts, such as m3, the entity's name and Id."""
    forms = {_without_m3(_key(re.sub(r"\(.*?\)", "", name))) for name in names}
    for word in sorted(_words(entity)):
        forms |= {form.removeprefix(word) for form in forms}
    return (forms | {form.removesuffix("id") for form in forms}) - {""}


def _words(entity: EntityType) -> set[str]:
    return {_key(name) for name in (entity.name, entity.label, *entity.aliases)}


def _without_m3(key: str) -> str:
    return re.sub("^(m3ter|m3)", "", key)


def _key(name: str) -> str:
    """Only letters and digits: ``Email_Address`` and ``emailAddress`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _field_key(api_name: str) -> str:
    return _key(without_namespace(api_name).removesuffix(CUSTOM))
