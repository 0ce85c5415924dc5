"""The options of an integration's entities, and the mappings built from them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from m3sync_dagster.entities import ENTITIES, EXTERNAL_ID, EntityType, Field, FieldKind
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.lookup_paths import split_paths
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import (
    Match,
    Overwrite,
    with_match_and_overwrite,
)
from m3sync_dagster.sync.row_types import Value

Constant = str | bool | int | float
"""A constant in YAML."""
_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


class WhenGone(StrEnum):
    """What is done with a record that was deleted in m3ter: keep, flag or delete it."""

    KEEP = "keep"
    FLAG = "flag"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class EntityOptions:
    """The YAML options of one entity; see ``EntityConfig`` for each field."""

    object: str | None = None
    external_id_field: str | None = None
    fields: Mapping[str, str | None] = field(default_factory=dict)
    custom_field_mappings: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Constant] = field(default_factory=dict)
    truncate: frozenset[str] = frozenset()
    include_unsettled: bool = False
    scope: AccountFilter = field(default_factory=AccountFilter)
    when_gone: WhenGone = WhenGone.KEEP
    gone_field: str | None = None
    mask: frozenset[str] = frozenset()
    match: Match = Match.UPSERT
    overwrite: Mapping[str, Overwrite] = field(default_factory=dict)
    link: AccountLink | None = None


def build_mapping(
    entity: EntityType, options: Mapping[str, EntityOptions], prefix: str
) -> FieldMapping:
    """Build the mapping of an entity.

    Args:
        entity: the record type.
        options: the options of each of the integration's entities, by name.
        prefix: the namespace prefix of our objects and fields, with its two underscores; empty
            for none.

    Raises:
        ConfigurationError: the options contradict themselves or each other.
    """
    own = options[entity.name]
    _require_unsettled(entity, own)
    _require_account(entity, own)
    lookups, keys = split_paths(entity, own.fields)
    own = replace(own, fields=lookups)
    _require_api_names(entity.name, own)
    given = {name: options.get(name, EntityOptions()) for name in ENTITIES}
    mapping = FieldMapping(
        entity=entity,
        object_name=own.object or prefix + entity.object,
        external_id_field=own.external_id_field or prefix + EXTERNAL_ID,
        fields=(*_mapped_fields(entity, own, prefix), *_custom_fields(entity, own), *_links(own)),
        constants=_constants(entity, own),
        parent_external_ids={
            name: theirs.external_id_field or prefix + EXTERNAL_ID for name, theirs in given.items()
        }
        | keys,
        scope=own.scope,
        parent_objects={
            name: theirs.object or prefix + ENTITIES[name].object
            for name, theirs in given.items()
            if name not in keys
        },
        truncated=own.truncate,
        written=_written(entity.name, own),
        final_when=_final_when(entity, options),
        link=own.link,
        # A lookup with a path may point to another object than the one that this entity updates.
        update_only_parents=frozenset(
            name
            for name, theirs in options.items()
            if theirs.match is Match.UPDATE_ONLY and name not in keys
        ),
    )
    _refuse_doubles(mapping, own)
    _require_truncatable(mapping)
    return _with_match_and_overwrite(replace(mapping, masked=_masked(mapping, own.mask)), own)


def _with_match_and_overwrite(mapping: FieldMapping, own: EntityOptions) -> FieldMapping:
    return with_match_and_overwrite(
        mapping,
        own.match,
        own.overwrite,
        gone_field=own.gone_field,
        deletes=own.when_gone is WhenGone.DELETE,
    )


def _masked(mapping: FieldMapping, names: frozenset[str]) -> frozenset[str]:
    """The masked fields, as the mapping writes them. Salesforce's names are not case-sensitive."""
    columns = {name.casefold(): name for name in mapping.columns}
    if wrong := sorted(name for name in names if name.casefold() not in columns):
        raise ConfigurationError(
            f"{', '.join(wrong)} cannot be masked: no field of this name is written to a "
            f"{mapping.entity.name}",
            "In mask, name Salesforce fields that the mapping fills, by their API names: "
            f"{', '.join(mapping.columns)}.",
            ("entities", mapping.entity.name, "mask"),
        )
    return frozenset(columns[name.casefold()] for name in names)


def _written(entity: str, own: EntityOptions) -> dict[str, tuple[str, ...]]:
    base = ("entities", entity)
    places: dict[str, tuple[str, ...]] = {
        target: (*base, "fields", name) for name, target in own.fields.items() if target
    }
    for name, target in own.custom_field_mappings.items():
        places[target] = (*base, "custom_field_mappings", name)
    places |= {target: (*base, "constants", target) for target in own.constants}
    if own.gone_field:
        places[own.gone_field] = (*base, "gone_field")
    if own.link:
        places[own.link.field] = (*base, "link", "field")
    if own.external_id_field:
        places[own.external_id_field] = (*base, "external_id_field")
    return places


def _require_api_names(entity: str, own: EntityOptions) -> None:
    """Refuse names that no field or object of an org can have.

    Source: Salesforce Help, "Field Names": letters, digits and underscores, a letter first.
    """
    for where, name in _names(own):
        if _API_NAME.fullmatch(name):
            continue
        remedy = (
            "Name one field or object by its API name, as Object Manager in Salesforce's Setup "
            "shows it."
        )
        if where[0] == "constants" and "." in name:
            remedy = (
                "A constant is written to a field of the object itself. For a record type, set "
                "RecordTypeId to the Id of 18 characters in the URL of its page in Setup."
            )
        raise ConfigurationError(
            f"{name!r} in the {entity} is not an API name of Salesforce",
            remedy,
            ("entities", entity, *where),
        )


def _names(own: EntityOptions) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every Salesforce name in the YAML, with its path."""
    yield from ((("fields", source), name) for source, name in own.fields.items() if name)
    for source, name in own.custom_field_mappings.items():
        yield ("custom_field_mappings", source), name
    yield from ((("constants", name), name) for name in own.constants)
    if own.link:
        yield ("link", "field"), own.link.field
        yield ("link", "object"), own.link.object
        if own.link.by is LinkBy.CODE:
            yield ("link", "by", "code"), own.link.name
    for attribute in ("object", "external_id_field", "gone_field"):
        name = getattr(own, attribute)
        if name is not None:
            yield (attribute,), name


def _final_when(
    entity: EntityType, options: Mapping[str, EntityOptions]
) -> tuple[tuple[str, str | bool], ...]:
    """When a record is final, or with ``scoped_by`` its parent, as the parent's options say."""
    decides = ENTITIES[entity.scoped_by] if entity.scoped_by else entity
    given = options.get(decides.name, EntityOptions())
    return () if given.include_unsettled else decides.final_when


def _require_unsettled(entity: EntityType, own: EntityOptions) -> None:
    if own.include_unsettled and not entity.final_when:
        parent = entity.scoped_by
        raise ConfigurationError(
            f"a {entity.name} has no status of its own: include_unsettled is only for bills",
            f"Write include_unsettled under {parent}." if parent else "Remove include_unsettled.",
            ("entities", entity.name, "include_unsettled"),
        )


def _require_account(entity: EntityType, own: EntityOptions) -> None:
    if own.link and entity.name != "account":
        raise ConfigurationError(
            f"a {entity.name} has no link of its own: it belongs to an account",
            "Write link under account.",
            ("entities", entity.name, "link"),
        )


def _require_truncatable(mapping: FieldMapping) -> None:
    """Only a mapped text can be cut; a part of an id would be another id."""
    uncut = {
        FieldKind.LOOKUP,
        FieldKind.LINK,
        FieldKind.NUMBER,
        FieldKind.INTEGER,
        FieldKind.BOOLEAN,
        FieldKind.DATE,
        FieldKind.DATETIME,
    }
    texts = {f.source for f in mapping.fields if f.kind not in uncut}
    if wrong := sorted(mapping.truncated - texts):
        raise ConfigurationError(
            f"{', '.join(wrong)} cannot be cut: it is not a mapped text of a {mapping.entity.name}",
            "Remove it from truncate.",
            ("entities", mapping.entity.name, "truncate"),
        )


def _mapped_fields(entity: EntityType, own: EntityOptions, prefix: str) -> list[Field]:
    """The default fields with the YAML's changes, then the additional fields of the YAML."""
    explicit = {target for target in own.fields.values() if target}
    known = {f.source: f for f in entity.fields}
    kept = []
    for default in entity.fields:
        target = own.fields.get(default.source, _prefixed(default.salesforce, prefix))
        if (
            default.kind is FieldKind.TITLE
            and default.source not in own.fields
            and target in explicit
        ):
            continue
        if target == default.salesforce:
            kept.append(default)
        elif target is not None:
            kept.append(replace(default, salesforce=target))
    for source, target in own.fields.items():
        if source not in known and target is not None:
            kept.append(Field(source, target, FieldKind.ANY))
    return kept


def _custom_fields(entity: EntityType, own: EntityOptions) -> list[Field]:
    if own.custom_field_mappings and not entity.custom_fields:
        raise ConfigurationError(
            f"m3ter has no custom fields on a {entity.name}",
            "Remove custom_field_mappings from it.",
            ("entities", entity.name, "custom_field_mappings"),
        )
    return [
        Field(f"customFields.{name}", target, FieldKind.ANY)
        for name, target in own.custom_field_mappings.items()
    ]


def _links(own: EntityOptions) -> list[Field]:
    link = own.link
    return [Field(link.source, link.field, FieldKind.LINK)] if link else []


def _prefixed(name: str, prefix: str) -> str:
    """Only custom fields and objects are in a namespace; ``Name`` is Salesforce's own."""
    return prefix + name if name.endswith("__c") else name


def _constants(entity: EntityType, own: EntityOptions) -> dict[str, Value]:
    """The constants. A record that m3ter lists is not deleted, so its ``gone_field`` is cleared."""
    where = ("entities", entity.name, "gone_field" if own.gone_field else "when_gone")
    if (own.when_gone is WhenGone.FLAG) != bool(own.gone_field):
        raise ConfigurationError(
            f"the {entity.name} says when_gone: {own.when_gone} and gone_field: {own.gone_field}",
            "Give when_gone: flag together with gone_field, the Salesforce checkbox, date or "
            "date-time field that marks a record as deleted in m3ter; or neither.",
            where,
        )
    constants = {name: _constant(value) for name, value in own.constants.items()}
    if own.gone_field and own.gone_field.casefold() in map(str.casefold, constants):
        raise ConfigurationError(
            f"the {entity.name} field {own.gone_field} is both a constant and the gone_field",
            "Use another field as gone_field.",
            where,
        )
    return constants | ({own.gone_field: None} if own.gone_field else {})


def _constant(value: Constant) -> Value:
    return Decimal(str(value)) if isinstance(value, float) else value


def _refuse_doubles(mapping: FieldMapping, own: EntityOptions) -> None:
    """Refuse two sources for one Salesforce field: which value it gets would be undefined.

    Salesforce's names are not case-sensitive.
    """
    taken = {mapping.external_id_field.casefold(): "m3ter's id"}
    sources = [(f.source, f.salesforce) for f in mapping.fields]
    for source, target in [*sources, *((f"a constant ({c})", c) for c in mapping.constants)]:
        if (before := taken.get(target.casefold())) is not None:
            raise ConfigurationError(
                f"the {mapping.entity.name} field {target} is mapped twice: "
                f"to {before} and to {source}",
                "Map one of them to another Salesforce field, or to null.",
                _where(mapping.entity.name, source, target, own),
            )
        taken[target.casefold()] = source


def _where(entity: str, source: str, target: str, own: EntityOptions) -> tuple[str, ...]:
    """The YAML path of the second of two mappings to one field."""
    base = ("entities", entity)
    for name, sent_to in own.custom_field_mappings.items():
        if sent_to == target:
            return (*base, "custom_field_mappings", name)
    if target in own.constants:
        return (*base, "constants", target)
    if own.link and own.link.field == target:
        return (*base, "link", "field")
    given = [name for name, sent_to in own.fields.items() if sent_to == target]
    if given:
        return (*base, "fields", source if source in given else given[-1])
    return base
