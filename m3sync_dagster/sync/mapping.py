"""From m3ter's record to the Salesforce row that it should be.

A ``Mapping`` is settled once for a run: which m3ter field goes to which Salesforce field, by
default and as the integration's YAML says. Its ``seed`` goes into every fingerprint, so that a
changed mapping makes every row a changed row.
"""

import re
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

import msgspec
import xxhash

from m3sync_dagster.entities import ENTITIES, EXTERNAL_ID, EntityType, Field, Kind
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.outcome import ErrorClass, Refused, Value
from m3sync_dagster.sync.scope import Scope
from m3sync_dagster.sync.values import CONVERTERS, Unfit, decimal, shown

INVALID_RECORD = "M3SYNC_INVALID_RECORD"
"""Code of a record that cannot be turned into a row at all."""
INVALID_VALUE = "M3SYNC_INVALID_VALUE"
"""Code of a row of which some value is not what its field asks for."""

# Salesforce would take blanks off both ends, and then know the record by another id.
_GOOD_ID = re.compile(r"[^\x00-\x20](?:[^\x00-\x1f]*[^\x00-\x20])?")
Record = dict[str, object]
"""A decoded m3ter record."""
Constant = str | bool | int | float
"""A fixed value, as YAML writes it."""

_JSON = msgspec.json.Decoder(float_hook=decimal)
_ROW = msgspec.json.Encoder()


class WhenGone(StrEnum):
    """What becomes of a record that m3ter no longer has: nothing, a mark, or its end."""

    KEEP = "keep"
    FLAG = "flag"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class EntityOptions:
    """What an integration's YAML says of one entity; see ``EntityConfig`` for each field."""

    object: str | None = None
    external_id_field: str | None = None
    fields: Dict[str, str | None] = field(default_factory=dict)
    custom_field_mappings: Dict[str, str] = field(default_factory=dict)
    constants: Dict[str, Constant] = field(default_factory=dict)
    truncate: frozenset[str] = frozenset()
    include_unsettled: bool = False
    scope: Scope = field(default_factory=Scope)
    when_gone: WhenGone = WhenGone.KEEP
    gone_field: str | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """A record as the row it should be.

    Args:
        m3ter_id: the record.
        values: one for each of the mapping's fields, then its constants.
        fingerprint: 16 bytes that stand for the values and the mapping.
    """

    m3ter_id: str
    values: list[Value]
    fingerprint: bytes


@dataclass(frozen=True)
class Mapping:
    """Where each m3ter field of one entity goes in one org.

    Args:
        entity: the record type.
        object_name: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
        fields: the m3ter fields that are carried, with their Salesforce fields' API names.
        constants: Salesforce field to the fixed value that it gets on every row.
        parent_external_ids: entity type to the external ID field of its Salesforce object.
        scope: the accounts whose records are carried.
        parent_objects: entity type to its Salesforce object.
        truncated: the m3ter fields whose texts are cut to what the Salesforce field holds.
        written: Salesforce field to the place in the YAML that names it.
        settled: a record is carried only if one of these fields has this value; empty: always.
    """

    entity: EntityType
    object_name: str
    external_id_field: str
    fields: tuple[Field, ...]
    constants: Dict[str, Value]
    parent_external_ids: Dict[str, str]
    scope: Scope
    parent_objects: Dict[str, str] = field(default_factory=dict)
    truncated: frozenset[str] = frozenset()
    written: Dict[str, tuple[str, ...]] = field(default_factory=dict)
    settled: tuple[tuple[str, str | bool], ...] = ()

    @cached_property
    def seed(self) -> int:
        """64 bits that change whenever any row could come out differently."""
        told = (
            self.object_name,
            self.external_id_field,
            [(f.source, f.salesforce, f.kind, f.length, f.sources) for f in self.fields],
            sorted(self.constants.items()),
            sorted(self.parent_external_ids.items()),
            sorted(self.scope.allowed),
            sorted(self.scope.restricted),
            sorted(self.truncated),
        )
        return xxhash.xxh3_64_intdigest(msgspec.json.encode(told))

    @property
    def columns(self) -> list[str]:
        """API names of the Salesforce fields, in the order of a row's values."""
        return [*(f.salesforce for f in self.fields), *self.constants]

    @property
    def self_lookup(self) -> int | None:
        """Position of the field that points to a record of the same type."""
        places = (i for i, f in enumerate(self.fields) if f.refers_to == self.entity.name)
        return next(places, None)

    def digest(self, raw: bytes) -> bytes:
        """16 bytes that stand for a record's JSON text and the mapping."""
        return xxhash.xxh3_128_digest(raw, self.seed)

    def map(self, raw: bytes) -> Mapped | Refused | None:
        """Turn a record's JSON text into its row.

        Returns:
            The row; or why there is none; or ``None`` for a record that is out of scope.
        """
        try:
            m3ter_id, record = _decode(raw)
        except Unfit as problem:
            # A record without a usable id goes by a digest of its text, to be found again.
            name = f"unknown-{xxhash.xxh3_64_hexdigest(raw)}"
            return Refused(name, ErrorClass.INVALID, INVALID_RECORD, str(problem))
        if not self.scope.admits(record.get(self.entity.account_field)):
            return None
        if self.settled and not any(record.get(name) == value for name, value in self.settled):
            return None
        try:
            values = [*self._values(record), *self.constants.values()]
        except Unfit as problem:
            return Refused(m3ter_id, ErrorClass.INVALID, INVALID_VALUE, str(problem))
        fingerprint = xxhash.xxh3_128_digest(_ROW.encode(values), self.seed)
        return Mapped(m3ter_id, values, fingerprint)

    def _values(self, record: Record) -> list[Value]:
        values: list[Value] = []
        problems = []
        for read, carried in zip(self._readers, self.fields, strict=True):
            try:
                values.append(read(record))
            except Unfit as problem:
                problems.append(f"{carried.source}: {problem}")
        if problems:
            raise Unfit("; ".join(problems))
        return values

    @cached_property
    def _readers(self) -> list[Callable[[Record], Value]]:
        return [self._reader(carried) for carried in self.fields]

    def _reader(self, carried: Field) -> Callable[[Record], Value]:
        if carried.kind is Kind.TITLE:
            return lambda record: _title(record, carried)
        if carried.refers_to == self.entity.name:
            return lambda record: self._sibling(record.get(carried.source))
        convert = CONVERTERS[carried.kind]
        outer, _, inner = carried.source.partition(".")
        if inner:
            return lambda record: _nested(record.get(outer), outer, inner, convert)
        return lambda record: None if (value := record.get(outer)) is None else convert(value)

    def _sibling(self, value: object) -> Value:
        """A record that is left out is not in Salesforce, so nothing can point to it there."""
        sibling = None if value is None else CONVERTERS[Kind.LOOKUP](value)
        return sibling if self.scope.admits(sibling) else None


def _decode(raw: bytes) -> tuple[str, Record]:
    """Decode a record, and make sure that it has an id to go by."""
    try:
        record = _JSON.decode(raw)
    except ValueError as error:
        raise Unfit(f"the record is not valid JSON ({error})") from None
    if not isinstance(record, dict):
        raise Unfit(f"{shown(record)} is not a record")
    m3ter_id = record.get("id")
    if not isinstance(m3ter_id, str) or not _GOOD_ID.fullmatch(m3ter_id):
        raise Unfit(f"the record's id is {shown(m3ter_id)}")
    return m3ter_id, record


def _nested(container: object, outer: str, inner: str, convert: Callable[[object], Value]) -> Value:
    if container is None:
        return None
    if not isinstance(container, dict):
        raise Unfit(f"{outer} is {shown(container)}, not an object")
    value = container.get(inner)
    return None if value is None else convert(value)


def _title(record: Record, carried: Field) -> Value:
    for source in carried.sources:
        found = record.get(source)
        if isinstance(found, str) and (title := " ".join(found.split())):
            return title[: carried.length]
    return None


def build_mapping(
    entity: EntityType,
    options: Dict[str, EntityOptions],
    prefix: str,
) -> Mapping:
    """Settle where an entity's fields go.

    Args:
        entity: the record type.
        options: what the integration says of each of its entities, by name.
        prefix: the namespace that stands before every object and field of ours, with its two
            underscores; empty for none.

    Raises:
        ConfigurationError: the options contradict themselves or each other.
    """
    own = options[entity.name]
    _require_unsettled(entity, own)
    fields = (*_mapped_fields(entity, own, prefix), *_custom_fields(entity, own))
    given = {name: options.get(name, EntityOptions()) for name in ENTITIES}
    mapping = Mapping(
        entity=entity,
        object_name=own.object or prefix + entity.object,
        external_id_field=own.external_id_field or prefix + EXTERNAL_ID,
        fields=fields,
        constants=_constants(entity, own),
        parent_external_ids={
            name: said.external_id_field or prefix + EXTERNAL_ID for name, said in given.items()
        },
        scope=own.scope,
        parent_objects={
            name: said.object or prefix + ENTITIES[name].object for name, said in given.items()
        },
        truncated=own.truncate,
        written=_written(entity.name, own),
        settled=() if own.include_unsettled else entity.settled,
    )
    _refuse_doubles(mapping, own)
    _require_truncatable(mapping)
    return mapping


def where_mapped(mapping: Mapping, target: str) -> tuple[str, ...]:
    """The place in the YAML that names a Salesforce field; the entity's for a default."""
    return mapping.written.get(target, ("entities", mapping.entity.name))


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
    if own.external_id_field:
        places[own.external_id_field] = (*base, "external_id_field")
    return places


def _require_unsettled(entity: EntityType, own: EntityOptions) -> None:
    if own.include_unsettled and not entity.settled:
        raise ConfigurationError(
            f"every {entity.name} is carried: m3ter knows none that are not settled",
            "Take include_unsettled out.",
            ("entities", entity.name, "include_unsettled"),
        )


def _require_truncatable(mapping: Mapping) -> None:
    """Only a text that is carried can be cut; half an id would point to another record."""
    uncut = {Kind.LOOKUP, Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME}
    texts = {f.source for f in mapping.fields if f.kind not in uncut}
    if wrong := sorted(mapping.truncated - texts):
        raise ConfigurationError(
            f"{', '.join(wrong)} cannot be cut: it is no text of a {mapping.entity.name} "
            "that is carried",
            "Take it out of truncate.",
            ("entities", mapping.entity.name, "truncate"),
        )


def _mapped_fields(entity: EntityType, own: EntityOptions, prefix: str) -> list[Field]:
    """The default fields with the YAML's changes, then fields that only the YAML knows."""
    explicit = {target for target in own.fields.values() if target}
    known = {f.source: f for f in entity.fields}
    kept = []
    for default in entity.fields:
        target = own.fields.get(default.source, _prefixed(default.salesforce, prefix))
        if default.kind is Kind.TITLE and default.source not in own.fields and target in explicit:
            continue
        if target == default.salesforce:
            kept.append(default)
        elif target is not None:
            kept.append(replace(default, salesforce=target))
    for source, target in own.fields.items():
        if source not in known and target is not None:
            kept.append(Field(source, target, Kind.ANY))
    return kept


def _custom_fields(entity: EntityType, own: EntityOptions) -> list[Field]:
    if own.custom_field_mappings and not entity.custom_fields:
        raise ConfigurationError(
            f"m3ter has no custom fields on a {entity.name}",
            "Take custom_field_mappings out of it.",
            ("entities", entity.name, "custom_field_mappings"),
        )
    return [
        Field(f"customFields.{name}", target, Kind.ANY)
        for name, target in own.custom_field_mappings.items()
    ]


def _prefixed(name: str, prefix: str) -> str:
    """Only custom fields and objects are in a namespace; ``Name`` is Salesforce's own."""
    return prefix + name if name.endswith("__c") else name


def _constants(entity: EntityType, own: EntityOptions) -> dict[str, Value]:
    """The fixed values. A record that m3ter lists is not gone, so it loses the mark of one."""
    where = ("entities", entity.name, "gone_field" if own.gone_field else "when_gone")
    if (own.when_gone is WhenGone.FLAG) != bool(own.gone_field):
        raise ConfigurationError(
            f"the {entity.name} says when_gone: {own.when_gone} and gone_field: {own.gone_field}",
            "Give when_gone: flag together with gone_field, the Salesforce checkbox, date or "
            "date-time field that marks a record as gone; or neither.",
            where,
        )
    constants = {name: _constant(value) for name, value in own.constants.items()}
    if own.gone_field in constants:
        raise ConfigurationError(
            f"the {entity.name} field {own.gone_field} is both a constant and the gone_field",
            "Give gone_field a field of its own.",
            where,
        )
    return constants | ({own.gone_field: None} if own.gone_field else {})


def _constant(value: Constant) -> Value:
    return Decimal(str(value)) if isinstance(value, float) else value


def _refuse_doubles(mapping: Mapping, own: EntityOptions) -> None:
    """Two sources for one Salesforce field would leave it to chance which one it shows."""
    taken = {mapping.external_id_field: "m3ter's id"}
    sources = [(f.source, f.salesforce) for f in mapping.fields]
    for source, target in [*sources, *((f"a constant ({c})", c) for c in mapping.constants)]:
        if target in taken:
            raise ConfigurationError(
                f"the {mapping.entity.name} field {target} is mapped twice: "
                f"to {taken[target]} and to {source}",
                "Give one of them another Salesforce field, or leave one out with null.",
                _where(mapping.entity.name, source, target, own),
            )
        taken[target] = source


def _where(entity: str, source: str, target: str, own: EntityOptions) -> tuple[str, ...]:
    """The place in the YAML that asks for the second of two mappings to one field."""
    base = ("entities", entity)
    for name, sent_to in own.custom_field_mappings.items():
        if sent_to == target:
            return (*base, "custom_field_mappings", name)
    if target in own.constants:
        return (*base, "constants", target)
    given = [name for name, sent_to in own.fields.items() if sent_to == target]
    if given:
        return (*base, "fields", source if source in given else given[-1])
    return base
