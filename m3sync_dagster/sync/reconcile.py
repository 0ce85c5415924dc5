"""Comparing Salesforce with m3ter: all records of both are read and compared field by field.

Nothing here is written to Salesforce. No side is held in memory as a whole: the records are in the
``Reconciliation``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.canonical_values import Canonical, canonical, field_types
from m3sync_dagster.sync.change_detection import build_candidate
from m3sync_dagster.sync.engine import batched
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import (
    DiffCounts,
    Difference,
    DifferenceKind,
    M3terRecord,
    Org,
    ReadRow,
    Reconciliation,
    SalesforceRecord,
    Selection,
)
from m3sync_dagster.sync.record_decoder import id_of
from m3sync_dagster.sync.record_scope import records_of, with_scope_of
from m3sync_dagster.sync.row_types import QUERY_IDS, Column
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.type_compatibility import ENCRYPTED

EXAMPLES = 20
"""Differing records of an entity that are shown."""
FEW_QUERIES = 10
"""Most queries by Id; beyond, one query for all records without external ID is quicker."""

_ID = Column("Id")
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(list[str | bool | int | float | None]).decode


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a verification: records read from Salesforce and from m3ter so far."""

    salesforce: int
    m3ter: int


@dataclass(frozen=True, slots=True)
class Example:
    """A record that differs: its Salesforce fields with m3ter's value and Salesforce's."""

    m3ter_id: str
    salesforce_id: str | None
    kind: DifferenceKind
    pending: bool
    fields: dict[str, tuple[Canonical, Canonical]] = field(default_factory=dict)


def value_in(payload: bytes, place: int) -> Canonical:
    """The value of a field, by its position in the mapping, in the payload of a record."""
    return _DECODE(payload)[place + 1]


class Reconciler:
    """The verification of one entity type, once.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        org: Salesforce.
        comparison: stores both sides and compares them.
        gone_field: the field that marks records as deleted in m3ter, if the integration has one.

    Attributes:
        counts, examples, calls: what was found, and in how many API calls; filled by ``run``.
    """

    def __init__(
        self,
        mapping: FieldMapping,
        source: Source,
        org: Org,
        comparison: Reconciliation,
        gone_field: str | None = None,
    ) -> None:
        self.counts = DiffCounts()
        self.examples: list[Example] = []
        self.calls = 0
        account_ids = mapping.scope.fetchable()
        mapping = with_scope_of(mapping, source, account_ids)
        self._mapping = with_links_of(mapping, source, org, account_ids)
        self._source = source
        self._org = org
        self._comparison = comparison
        columns = enumerate(mapping.columns)
        self._if_empty = {name: place for place, name in columns if name in mapping.if_empty}
        self._gone_column = mapping.columns.index(gone_field) if gone_field else None

    def run(self) -> Iterator[Progress]:
        """Read both sides and compare them; yields the progress.

        Raises:
            ConfigurationError: the mapping does not fit the org.
            SyncError: a side could not be read to its end; then there is no result.
        """
        calls = self._org.calls
        self._described = self._org.describe(self._mapping.object_name)
        self._validator = RowValidator(self._mapping, self._described)
        self._kinds = field_types(self._validator.target, self._described)
        self._comparison.begin(self._org.identity().organization_id)
        in_salesforce = in_m3ter = 0
        only = self._selection()
        for in_salesforce in self._read_back(only):
            yield Progress(in_salesforce, 0)
        for in_m3ter in self._read_m3ter():
            yield Progress(in_salesforce, in_m3ter)
        if only and only.or_empty:
            self._find_moved_records()
        self._find_changed_external_ids()
        self.counts = self._comparison.compare()
        if self.counts.extra:
            for again in self._list_again():
                yield Progress(in_salesforce, in_m3ter + again)
            self.counts = self._comparison.compare()
        found = self._comparison.differences(EXAMPLES)
        self.examples = [self._example(difference) for difference in found]
        self.calls = self._org.calls - calls

    @property
    def encrypted(self) -> list[str]:
        """Encrypted texts in which the examples differ: this user may not be able to read them."""
        differing = {name for example in self.examples for name in example.fields}
        columns = self._validator.target.columns
        encrypted = {
            column.field
            for column, kind in zip(columns, self._kinds, strict=True)
            if kind == ENCRYPTED
        }
        return sorted(differing & encrypted)

    def _selection(self) -> Selection | None:
        """The accounts to read, where a query can name them all.

        Records without an account are read too: the account may have been deleted by hand.
        """
        ids = self._mapping.scope.fetchable()
        if ids is None or not 0 < len(ids) <= QUERY_IDS or self._mapping.scoped_by:
            return None
        if self._mapping.entity.account_field == "id":
            return Selection(self._key, ids)
        if self._account is None:
            return None
        if self._described.fields[self._mapping.columns[self._account]].filterable is False:
            return None
        return Selection(self._validator.target.columns[self._account], ids, or_empty=True)

    @property
    def _key(self) -> Column:
        return Column(self._mapping.external_id_field)

    @property
    def _account(self) -> int | None:
        """Position of the column that names a record's account or parent."""
        return self._mapping.owner

    def _read_back(self, only: Selection | None) -> Iterator[int]:
        held = 0
        for rows in self._org.read_back(self._validator.target, only):
            self._add_salesforce(rows)
            held += len(rows)
            yield held

    def _add_salesforce(self, rows: Sequence[ReadRow]) -> None:
        self._comparison.add_salesforce(
            [self._salesforce_record(row, row.m3ter_id) for row in rows if row.m3ter_id]
        )

    def _salesforce_record(self, row: ReadRow, m3ter_id: str) -> SalesforceRecord:
        values = self._canonical(row.values)
        gone = self._gone_column
        return SalesforceRecord(
            m3ter_id,
            row.salesforce_id,
            in_scope=self._in_scope(m3ter_id, values),
            flagged=gone is not None and values[gone] != canonical(None, self._kinds[gone]),
            payload=self._payload(row.m3ter_id, values),
            external_id_changed=row.m3ter_id != m3ter_id,
            empty=[name for name, place in self._if_empty.items() if values[place] is None],
        )

    def _in_scope(self, m3ter_id: str, values: Sequence[Canonical]) -> bool | None:
        """Whether the account or parent of a Salesforce record is in the integration's scope."""
        scope = self._mapping.scope
        if not scope.allowed and not scope.restricted and not scope.expression:
            return True
        if self._mapping.entity.account_field == "id":
            return scope.admits_unlisted(m3ter_id)
        account = None if self._account is None else values[self._account]
        decides = self._mapping.parents or scope
        return decides.admits_unlisted(account) if isinstance(account, str) else None

    def _read_m3ter(self) -> Iterator[int]:
        read = 0
        for batch in batched(records_of(self._mapping, self._source)):
            self._mapping.prepare_links(batch)
            self._add_m3ter([row for raw in batch if (row := self._m3ter_record(raw))])
            read += len(batch)
            yield read

    def _add_m3ter(self, rows: Sequence[M3terRecord]) -> None:
        """Add m3ter's records; of one that the list names twice, the later."""
        self._comparison.add_m3ter(list({row.m3ter_id: row for row in rows}.values()))

    def _m3ter_record(self, raw: bytes) -> M3terRecord | None:
        found = build_candidate(self._mapping, self._validator, raw)
        if found is None:
            return None
        if found.row is None:
            return M3terRecord(found.m3ter_id, final=found.final)
        values = self._canonical(found.row.values)
        payload = self._payload(found.m3ter_id, values)
        given = {name: values[place] for name, place in self._if_empty.items()}
        filled = {name: value for name, value in given.items() if value is not None}
        return M3terRecord(found.m3ter_id, found.fingerprint, payload, found.final, filled)

    def _payload(self, m3ter_id: str | None, values: Sequence[Canonical]) -> bytes:
        """The values that must be equal: without fields that are written only if they are empty."""
        compared = list(values)
        for place in self._if_empty.values():
            compared[place] = None
        return _ENCODE([m3ter_id, *compared])

    def _find_moved_records(self) -> None:
        """Find the records that were moved to another account by hand."""
        for ids in self._comparison.missing_ids(QUERY_IDS):
            for rows in self._org.read_back(self._validator.target, Selection(self._key, ids)):
                self._add_salesforce(rows)

    def _find_changed_external_ids(self) -> None:
        """Find the records whose external ID was edited by hand.

        One whose external ID is now the id of another record of m3ter counts as that record.
        """
        self._comparison.match_by_salesforce_id()
        for only in self._where_missing():
            for rows in self._org.read_back(self._validator.target, only):
                others = self._comparison.ids_in_m3ter(
                    [row.m3ter_id for row in rows if row.m3ter_id]
                )
                ours = self._comparison.m3ter_ids_of_missing([row.salesforce_id for row in rows])
                self._comparison.add_salesforce(
                    [
                        self._salesforce_record(row, ours[row.salesforce_id])
                        for row in rows
                        if row.salesforce_id in ours and row.m3ter_id not in others
                    ]
                )

    def _where_missing(self) -> list[Selection]:
        """Which records to read: a few by their Ids, or else all without external ID."""
        batches = list(islice(self._comparison.missing_salesforce_ids(QUERY_IDS), FEW_QUERIES + 1))
        if len(batches) > FEW_QUERIES:
            return [Selection(self._key, [], or_empty=True)]
        return [Selection(_ID, salesforce_ids) for salesforce_ids in batches]

    def _list_again(self) -> Iterator[int]:
        """List all of m3ter's records again; a record that it names is not extra.

        A list that changes while it is read page by page can skip a record, and a record may
        belong to an account in m3ter that is out of scope.
        """
        read = 0
        for batch in batched(self._source.records(self._mapping.entity, None)):
            raws = {m3ter_id: raw for raw in batch if (m3ter_id := id_of(raw))}
            extras = self._comparison.extra_records(list(raws))
            self._mapping.prepare_links([raws[m3ter_id] for m3ter_id in extras])
            wanted = {m3ter_id: self._m3ter_record(raws[m3ter_id]) for m3ter_id in extras}
            self._add_m3ter([row for row in wanted.values() if row])
            self._comparison.remove_salesforce([extras[i] for i, row in wanted.items() if not row])
            read += len(batch)
            yield read

    def _canonical(self, values: Sequence[object]) -> list[Canonical]:
        return [canonical(value, kind) for value, kind in zip(values, self._kinds, strict=True)]

    def _example(self, found: Difference) -> Example:
        fields: dict[str, tuple[Canonical, Canonical]] = {}
        if found.salesforce_payload and found.m3ter_payload:
            pairs = zip(
                _DECODE(found.m3ter_payload), _DECODE(found.salesforce_payload), strict=True
            )
            columns = (self._key, *self._validator.target.columns)
            names = (column.field for column in columns)
            fields = {n: pair for n, pair in zip(names, pairs, strict=True) if pair[0] != pair[1]}
        fields |= {name: (value, None) for name, value in (found.unfilled or {}).items()}
        return Example(found.m3ter_id, found.salesforce_id, found.kind, found.pending, fields)
