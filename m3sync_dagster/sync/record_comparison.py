"""One record in m3ter and in Salesforce, compared field by field. Nothing is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.canonical_values import canonical, field_types
from m3sync_dagster.sync.change_detection import Candidate, build_candidate
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.plan import Org
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_matching import is_empty
from m3sync_dagster.sync.record_scope import with_scope_of_record
from m3sync_dagster.sync.row_results import Rejected
from m3sync_dagster.sync.row_types import Column, Target, Value
from m3sync_dagster.sync.target_schema import TargetSchema

State = Literal[
    "equal",
    "changed",
    "missing",
    "extra",
    "flagged",
    "invalid",
    "not_final",
    "out_of_scope",
    "absent",
]
"""How Salesforce's record differs from m3ter's; the words of ``DifferenceKind``, and:

- ``equal``: both have it with the same values.
- ``not_final``: m3ter may still recalculate it, so it is not sent yet.
- ``out_of_scope``: m3ter has it, and the account lists or the account filter of the integration
  leave it out.
- ``absent``: neither system has it.
"""


@dataclass(frozen=True, slots=True)
class ComparedField:
    """A Salesforce field of a record.

    Args:
        field: its API name.
        source: the m3ter field that it is filled from; ``None`` for a constant.
        m3ter: the value that a run would send.
        salesforce: the value that Salesforce has.
        differs: whether these are different values; not if ``overwrite`` says to keep Salesforce's.
    """

    field: str
    source: str | None
    m3ter: Value
    salesforce: object
    differs: bool


@dataclass(frozen=True, slots=True)
class ComparedRecord:
    """A record in both systems.

    Args:
        in_m3ter: whether m3ter has it.
        candidate: its row, or why it cannot be one; ``None``: not in m3ter, or out of scope.
        salesforce: Salesforce's record, if there is one.
        fields: its fields; without a row, m3ter's values are ``None`` and nothing differs.
        flagged: whether Salesforce's record is marked as deleted in m3ter.
    """

    in_m3ter: bool
    candidate: Candidate | None
    salesforce: ReadRow | None
    fields: list[ComparedField]
    flagged: bool = False

    @property
    def rejected(self) -> Rejected | None:
        """Why m3ter's record cannot be a row, if it cannot."""
        return self.candidate.rejected if self.candidate else None

    @property
    def differences(self) -> list[ComparedField]:
        """The fields with different values."""
        return [one for one in self.fields if one.differs]

    @property
    def state(self) -> State:
        """How Salesforce's record differs."""
        if self.candidate is None:
            return "out_of_scope" if self.in_m3ter else self._state_without_m3ter
        if self.candidate.rejected:
            return "invalid"
        if self.salesforce is None:
            return "missing" if self.candidate.final else "not_final"
        return "changed" if self.differences else "equal"

    @property
    def _state_without_m3ter(self) -> State:
        if self.salesforce is None:
            return "absent"
        return "flagged" if self.flagged else "extra"


class RecordComparison:
    """Compares single records of one entity type.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        org: Salesforce.
        preflight: called before the object is described; its errors stop the comparison.
        gone_field: the field that marks records as deleted in m3ter, if the integration has one.

    Raises:
        ConfigurationError: the mapping does not fit the org.
        SyncError: Salesforce could not be reached, or refused.
    """

    def __init__(
        self,
        mapping: FieldMapping,
        source: Source,
        org: Org,
        preflight: Callable[[], object],
        gone_field: str | None = None,
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._org = org
        self._gone_field = gone_field
        self._validator = TargetSchema(mapping, org, preflight).require_current()
        self._types = field_types(self._target, org.describe(mapping.object_name))
        constants = [None for _ in mapping.constants]
        self._sources = [*(one.source for one in mapping.fields), *constants]

    def compare(self, m3ter_id: str, salesforce_id: str | None = None) -> ComparedRecord:
        """Read a record from both systems and compare it.

        Args:
            m3ter_id: the record.
            salesforce_id: the Salesforce Id under which it was synced. It finds a record whose
                external ID was edited by hand.

        Raises:
            SyncError: a system could not be read.
        """
        found = self._read_back(m3ter_id, salesforce_id)
        raw = self._fetch(m3ter_id, found)
        candidate = self._candidate(m3ter_id, raw) if raw else None
        values = candidate.row.values if candidate and candidate.row else None
        fields = list(self._fields(m3ter_id, values, found))
        return ComparedRecord(raw is not None, candidate, found, fields, self._is_flagged(found))

    def find_by_code(self, code: str) -> set[str]:
        """The m3ter ids of the records in Salesforce with this code, if the code is mapped."""
        if (place := self._mapping.code) is None:
            return set()
        rows = self._read(Selection(self._target.columns[place], [code]))
        return {row.m3ter_id for row in rows if row.m3ter_id and row.values[place] == code}

    def find_by_salesforce_id(self, salesforce_id: str) -> ReadRow | None:
        """The record with this Salesforce Id, of 15 or 18 characters."""
        return self._read_one(Selection(Column("Id"), [salesforce_id]))

    def _fetch(self, m3ter_id: str, found: ReadRow | None) -> bytes | None:
        """Read m3ter's record; first under the parent that Salesforce's record names, if any."""
        entity, owner = self._mapping.entity, self._mapping.owner
        parent = found.values[owner] if found and entity.scoped_by and owner is not None else None
        read = self._source.fetch(entity, m3ter_id, str(parent)) if parent else None
        return read or self._source.fetch(entity, m3ter_id)

    def _candidate(self, m3ter_id: str, raw: bytes) -> Candidate | None:
        mapping = with_scope_of_record(self._mapping, self._source, raw)
        mapping = with_links_of(mapping, self._source, self._org, [m3ter_id])
        mapping.prepare_links([raw])
        return build_candidate(mapping, self._validator, raw)

    @property
    def _target(self) -> Target:
        return self._validator.target

    def _read_back(self, m3ter_id: str, salesforce_id: str | None) -> ReadRow | None:
        """The record with this external ID, or else the one with this Salesforce Id.

        One whose external ID is now the id of another record of m3ter counts as that record.
        """
        found = self._read_one(Selection(Column(self._target.external_id_field), [m3ter_id]))
        if found or not salesforce_id:
            return found
        found = self.find_by_salesforce_id(salesforce_id)
        if found and found.m3ter_id:
            taken = self._source.fetch(self._mapping.entity, found.m3ter_id)
            return None if taken else found
        return found

    def _read_one(self, only: Selection) -> ReadRow | None:
        return next(self._read(only), None)

    def _read(self, only: Selection) -> Iterator[ReadRow]:
        return (row for batch in self._org.read_back(self._target, only) for row in batch)

    def _fields(
        self, m3ter_id: str, values: list[Value] | None, found: ReadRow | None
    ) -> Iterator[ComparedField]:
        both = values is not None and found is not None
        key = self._target.external_id_field
        ours, theirs = m3ter_id if values else None, found.m3ter_id if found else None
        yield ComparedField(key, "id", ours, theirs, both and ours != theirs)
        columns = self._target.columns
        missing = [None] * len(columns)
        sides = values or missing, found.values if found else missing
        for column, source, kind, after, before in zip(
            columns, self._sources, self._types, *sides, strict=True
        ):
            differs = both and canonical(before, kind) != canonical(after, kind)
            kept = column.field in self._mapping.if_empty and not is_empty(before)
            yield ComparedField(column.field, source, after, before, differs and not kept)

    def _is_flagged(self, found: ReadRow | None) -> bool:
        if found is None or self._gone_field is None:
            return False
        place = self._mapping.columns.index(self._gone_field)
        kind = self._types[place]
        return canonical(found.values[place], kind) != canonical(None, kind)
