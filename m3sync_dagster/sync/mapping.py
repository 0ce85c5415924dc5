"""Mapping m3ter's records to Salesforce rows.

A ``FieldMapping`` is built once for a run: the Salesforce field of each m3ter field, by default and
from the integration's YAML. Its ``seed`` is part of every JSON text's digest, so that after a
change every record is mapped again; the rows that differ are sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

import msgspec
import xxhash

from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink, LinkFinder
from m3sync_dagster.sync.code_digest import CODE_DIGEST
from m3sync_dagster.sync.converters import (
    CONVERTERS,
    ConversionError,
    Undecodable,
)
from m3sync_dagster.sync.mapped_records import (
    INVALID_RECORD,
    INVALID_VALUE,
    Decoded,
    Mapped,
    Unmapped,
)
from m3sync_dagster.sync.parents_in_scope import ParentsInScope
from m3sync_dagster.sync.record_fields import (
    Convert,
    Get,
    Record,
    decode_identified,
    getter,
    no_conversion,
    title_of,
)
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected, value_text
from m3sync_dagster.sync.row_types import Value


@dataclass(frozen=True)
class FieldMapping:
    """The Salesforce field of each m3ter field of one entity.

    Args:
        entity: the record type.
        object_name: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
        fields: the mapped m3ter fields, with their Salesforce fields' API names.
        constants: Salesforce field to the value that it gets in every row.
        parent_external_ids: entity type to the external ID field of its Salesforce object.
        scope: the accounts whose records are synced.
        parent_objects: entity type to its Salesforce object, as far as the YAML defines it.
        truncated: the m3ter fields whose texts are cut to the length of the Salesforce field.
        written: Salesforce field to the YAML path that names it.
        final_when: a record is final if one of these fields has this value; empty: always. With
            ``scoped_by``, that is said of its parent.
        masked: the Salesforce fields whose values are not stored.
        update_only: whether records are never created in Salesforce.
        update_only_parents: the entity types that it points to whose records are never created.
        if_empty: the Salesforce fields that are written only where they are empty.
        link: the lookup to a record of the CRM; ``links`` finds its value, see ``with_links_of``.
        parents: the parents in scope, of an entity with ``scoped_by``; see ``with_scope_of``.
    """

    entity: EntityType
    object_name: str
    external_id_field: str
    fields: tuple[Field, ...]
    constants: Mapping[str, Value]
    parent_external_ids: Mapping[str, str]
    scope: AccountFilter
    parent_objects: Mapping[str, str] = field(default_factory=dict)
    truncated: frozenset[str] = frozenset()
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    final_when: tuple[tuple[str, str | bool], ...] = ()
    masked: frozenset[str] = frozenset()
    update_only: bool = False
    update_only_parents: frozenset[str] = frozenset()
    if_empty: frozenset[str] = frozenset()
    link: AccountLink | None = None
    links: LinkFinder | None = field(default=None, compare=False)
    parents: ParentsInScope | None = field(default=None, compare=False)

    @cached_property
    def seed(self) -> int:
        """64 bits that change whenever any row could differ."""
        parts = (
            CODE_DIGEST,
            self.row_seed,
            [(f.source, f.salesforce, f.kind, f.length, f.sources) for f in self.fields],
            sorted(self.constants.items()),
            sorted(self.scope.allowed),
            sorted(self.scope.restricted),
            sorted(self.truncated),
            self.final_when,
            self.link,
        )
        return xxhash.xxh3_64_intdigest(msgspec.json.encode(parts))

    @cached_property
    def row_seed(self) -> int:
        """64 bits that change whenever the same values would be written to other fields."""
        parts = (
            self.object_name,
            self.external_id_field,
            self.columns,
            sorted(self.parent_external_ids.items()),
            *sorted(self.if_empty),
        )
        return xxhash.xxh3_64_intdigest(msgspec.json.encode(parts))

    @property
    def columns(self) -> list[str]:
        """API names of the Salesforce fields, in the order of a row's values."""
        return [*(f.salesforce for f in self.fields), *self.constants]

    @property
    def self_lookup(self) -> int | None:
        """Position of the field that points to a record of the same type."""
        places = (i for i, f in enumerate(self.fields) if f.refers_to == self.entity.name)
        return next(places, None)

    @property
    def owner(self) -> int | None:
        """Position of the lookup to the account or parent that a record belongs to."""
        wanted = self.entity.account_field
        places = (
            i
            for i, f in enumerate(self.fields)
            if f.source == wanted and f.kind is FieldKind.LOOKUP
        )
        return next(places, None)

    @property
    def title(self) -> int | None:
        """Position of the field with the record's name for people."""
        places = (i for i, f in enumerate(self.fields) if f.kind is FieldKind.TITLE)
        return next(places, None)

    @property
    def code(self) -> int | None:
        """Position of the field with the record's code."""
        places = (i for i, f in enumerate(self.fields) if f.source == "code")
        return next(places, None)

    def refused_record(self, values: Sequence[object], names: Iterable[str]) -> RefusedRecord:
        """What a rejected row shows of its record.

        Args:
            values: of the row, in the order of ``columns``.
            names: API names of the fields that were refused.
        """
        places = {name.lower(): place for place, name in enumerate(self.columns)}
        found = {name: places.get(name.lower()) for name in names}
        title, code = self.title, self.code
        return RefusedRecord(
            value_text(values[title]) if self._is_stored(title) else None,
            value_text(values[code]) if self._is_stored(code) else None,
            {name: value_text(values[at]) for name, at in found.items() if self._is_stored(at)},
        )

    @property
    def scoped_by(self) -> EntityType | None:
        """The parent type that decides whether records are in scope and final, if there is one."""
        return ENTITIES[self.entity.scoped_by] if self.entity.scoped_by else None

    @property
    def reads_scope(self) -> bool:
        """Whether m3ter has to be asked which accounts or parents are in scope."""
        return self.scope.expression is not None or self.entity.scoped_by is not None

    def scope_of(self, raw: bytes) -> bytes | None:
        """What the row of a record depends on besides its JSON text, see ``reads_scope``.

        Returns:
            ``None`` if the record is out of scope. A record that cannot be read is not.

        Raises:
            SyncError: the accounts could not be read.
        """
        owners = self.owners_of(raw)
        if owners is None:
            return b""
        own, parent = owners
        if not self._admits(own):
            return None
        linked = not isinstance(parent, str) or self.scope.admits_parent(parent)
        return b"" if linked else b"without parent"

    def prepare_links(self, records: Sequence[bytes]) -> None:
        """Look up the links of these records together, before they are mapped."""
        if self.links is not None:
            self.links.prepare(records)

    def name_of(self, raw: bytes) -> str:
        """What an account is called in messages: its name, unless that is masked, and its id."""
        try:
            m3ter_id, record = decode_identified(raw)
        except ConversionError:
            return "an account without a usable id"
        name = self._named(record, "name")
        return f"{name} ({m3ter_id})" if name else m3ter_id

    def owners_of(self, raw: bytes) -> tuple[object, object] | None:
        """The account or parent that a record belongs to, and an account's parent account.

        ``None`` if the record cannot be read.
        """
        try:
            _, record = decode_identified(raw)
        except ConversionError:
            return None
        lookup = self.self_lookup
        parent = None if lookup is None else record.get(self.fields[lookup].source)
        return record.get(self.entity.account_field), parent

    def _is_stored(self, place: int | None) -> TypeGuard[int]:
        """Whether there is a field at this position, and its values may be stored."""
        return place is not None and self.columns[place] not in self.masked

    def map(self, raw: bytes) -> Mapped | Unmapped | None:
        """Map a record's JSON text to a row.

        Returns:
            The row; or the reason why there is none; or ``None`` if the record is out of scope.
        """
        decoded = self.decode(raw)
        return self.map_decoded(decoded) if isinstance(decoded, Decoded) else decoded

    def decode(self, raw: bytes) -> Decoded | Unmapped | None:
        """Decode a record's JSON text, which is the first part of ``map``."""
        try:
            m3ter_id, record = decode_identified(raw)
        except ConversionError as problem:
            # A record without a usable id is identified by a digest of its text.
            name = f"unknown-{xxhash.xxh3_64_hexdigest(raw)}"
            return Unmapped(Rejected(name, ErrorClass.INVALID, INVALID_RECORD, str(problem)))
        if not self._admits(record.get(self.entity.account_field)):
            return None
        return Decoded(m3ter_id, record, self._is_final(record))

    def map_decoded(self, decoded: Decoded) -> Mapped | Unmapped:
        """Map a decoded record to a row, which is the second part of ``map``."""
        record = decoded.record
        try:
            values = [*self._values(record), *self.constants.values()]
        except ConversionError as problem:
            named = RefusedRecord(self._named(record, "name"), self._named(record, "code"))
            rejected = Rejected(
                decoded.m3ter_id, ErrorClass.INVALID, INVALID_VALUE, str(problem), record=named
            )
            return Unmapped(rejected, decoded.final)
        return Mapped(decoded.m3ter_id, values, decoded.final)

    def _named(self, record: Record, source: str) -> str | None:
        """A record's name or code, unless a field that is filled from it is masked."""
        filled = (f.salesforce for f in self.fields if source in (f.source, *f.sources[:1]))
        return None if self.masked.intersection(filled) else _text(record.get(source))

    def _is_final(self, record: Record) -> bool:
        """A record whose status or parent cannot be read is final: it is reported as invalid."""
        if self.entity.scoped_by:
            owner = record.get(self.entity.account_field)
            return not isinstance(owner, str) or self._parents.is_final(owner)
        wanted = self.final_when
        return not wanted or any(
            (found := record.get(name)) == value or isinstance(found, Undecodable)
            for name, value in wanted
        )

    def _admits(self, owner: object) -> bool:
        """Whether records of this account, or of this parent, are in scope."""
        if self.entity.scoped_by is None or not isinstance(owner, str):
            return self.scope.admits(owner)
        return self._parents.admits(owner)

    @property
    def _parents(self) -> ParentsInScope:
        if self.parents is None:
            raise ValueError("which parents are in scope was not read")
        return self.parents

    def lacks_parent(self, record: Record) -> bool:
        """Whether a record does not name the parent that decides on it, see ``scoped_by``."""
        parent = self.entity.scoped_by
        return parent is not None and not isinstance(record.get(self.entity.account_field), str)

    def _values(self, record: Record) -> list[Value]:
        values: list[Value] = []
        problems = []
        for place, (get, convert) in enumerate(self.sources):
            try:
                found = get(record)
                values.append(None if found is None else convert(found))
            except ConversionError as problem:
                problems.append(f"{self.fields[place].source}: {problem}")
        if self.lacks_parent(record):
            owner, parent = self.entity.account_field, self.entity.scoped_by
            problems.append(f"{owner}: it names no {parent}, which is needed")
        if problems:
            raise ConversionError("; ".join(problems))
        return values

    @cached_property
    def sources(self) -> list[tuple[Get, Convert]]:
        """How the value of each field is found in a record, and converted."""
        return [self._source(source_field) for source_field in self.fields]

    def _source(self, source_field: Field) -> tuple[Get, Convert]:
        if source_field.kind is FieldKind.TITLE:
            return lambda record: title_of(record, source_field), no_conversion
        if source_field.kind is FieldKind.LINK:
            return self._linked, no_conversion
        if source_field.refers_to == self.entity.name:
            return getter(source_field.source), self._sibling
        return getter(source_field.source), CONVERTERS[source_field.kind]

    def _sibling(self, value: object) -> Value:
        """A record out of scope is not in Salesforce, so a lookup to it is left empty."""
        sibling = CONVERTERS[FieldKind.LOOKUP](value)
        return sibling if isinstance(sibling, str) and self.scope.admits_parent(sibling) else None

    def _linked(self, record: Record) -> Value:
        if self.links is None:
            raise ValueError("what accounts are linked to was not read")
        return self.links.find(record).salesforce_id


def _text(value: object) -> str | None:
    return value_text(value) if isinstance(value, str) else None
