"""Whether Salesforce holds what m3ter holds: both are read whole, and compared field by field.

Nothing here is written to Salesforce, and neither side is ever held whole: what was read waits in
the ``Comparison``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from m3sync_dagster.entities import Kind
from m3sync_dagster.sync.engine import batched
from m3sync_dagster.sync.equality import Canonical, canonical
from m3sync_dagster.sync.fitting import Fitter
from m3sync_dagster.sync.mapping import Mapped, Mapping
from m3sync_dagster.sync.outcome import Refused
from m3sync_dagster.sync.ports import Column, SalesforceObject, Source, Target

EXAMPLES = 20
"""Differing records of an entity that are shown."""
MOST_IDS = 200
"""Ids that fit into the address of one query: Salesforce takes 16,384 bytes with the headers."""

Kinds = Literal["missing", "changed", "extra", "flagged", "invalid"]
"""How a record differs: it is not in Salesforce; it is, with other values; it is in Salesforce
alone; it is so, and marked as gone; m3ter's record cannot be a row at all."""

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(list[Any]).decode


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A record as Salesforce gives it back.

    Args:
        m3ter_id: what its external ID field holds.
        salesforce_id: its Id.
        values: one for each column of the ``Target``; of a lookup, the parent's external ID.
    """

    m3ter_id: str
    salesforce_id: str
    values: Sequence[object]


@dataclass(frozen=True, slots=True)
class Selection:
    """The records whose column holds one of these ids; no column: the external ID."""

    column: Column | None
    ids: Sequence[str]


class Org(Protocol):
    """Salesforce, for reading alone."""

    @property
    def calls(self) -> int:
        """API calls made so far, logins included."""
        ...

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; see ``ports.Destination``."""
        ...

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[HeldRow]]:
        """Read the records that have an external ID, a batch at a time.

        Args:
            target: the object, and the columns to read.
            only: these records alone; ``None`` for all.

        Raises:
            SyncError: they could not be read to the end.
        """
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A record of Salesforce's side of a comparison.

    Args:
        m3ter_id, salesforce_id: the record.
        in_scope: whether its account is one that the integration carries.
        flagged: whether it is marked as gone from m3ter.
        payload: its canonical values.
    """

    m3ter_id: str
    salesforce_id: str
    in_scope: bool
    flagged: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record of m3ter's side of a comparison.

    Args:
        m3ter_id: the record.
        fingerprint: of its row, as the ledger knows it.
        payload: its canonical values; empty where it cannot be a row.
    """

    m3ter_id: str
    fingerprint: bytes = b""
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that differs, with both payloads as far as there are any."""

    m3ter_id: str
    salesforce_id: str | None
    kind: Kinds
    pending: bool
    held: bytes | None
    wanted: bytes | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many records of an entity are in which state.

    Args:
        equal: Salesforce holds what m3ter holds.
        missing: m3ter has it, Salesforce does not.
        changed: both have it, some field differs.
        extra: Salesforce has it, under an m3ter id in scope that m3ter does not list.
        gone: those of ``extra`` that this integration has written: m3ter had them once.
        flagged: as ``extra``, and marked as gone already.
        invalid: m3ter's record cannot be a row, so there is nothing to compare.
        pending: those of ``missing`` and ``changed`` that Salesforce has never acknowledged as
            they are now: they have changed in m3ter since the last run, or were refused.
    """

    equal: int = 0
    missing: int = 0
    changed: int = 0
    extra: int = 0
    gone: int = 0
    flagged: int = 0
    invalid: int = 0
    pending: int = 0

    @property
    def held(self) -> int:
        """Records in scope that Salesforce holds."""
        return self.equal + self.changed + self.extra + self.flagged

    @property
    def drifted(self) -> int:
        """Records that Salesforce no longer holds as it has acknowledged them."""
        return self.missing + self.changed - self.pending

    @property
    def matches(self) -> bool:
        """Whether Salesforce holds just what m3ter holds."""
        return not (self.missing or self.changed or self.extra)


class Comparison(Protocol):
    """Where both sides of one entity are laid beside each other."""

    def begin(self) -> None:
        """Start with nothing on either side."""
        ...

    def hold(self, rows: Sequence[Held]) -> None:
        """Put down records of Salesforce."""
        ...

    def want(self, rows: Sequence[Wanted]) -> None:
        """Put down records of m3ter. One that comes again takes the later row."""
        ...

    def unheld(self, size: int) -> Iterator[list[str]]:
        """Give the ids that only m3ter's side has, so many at a time."""
        ...

    def settle(self) -> Tally:
        """Compare."""
        ...

    def differences(self, most: int) -> list[Difference]:
        """Give the first records that differ, of each kind up to so many."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is: records read back from Salesforce, and read from m3ter."""

    salesforce: int
    m3ter: int


@dataclass(frozen=True, slots=True)
class Example:
    """A record that differs: its Salesforce fields with m3ter's value and Salesforce's."""

    m3ter_id: str
    salesforce_id: str | None
    kind: Kinds
    pending: bool
    fields: dict[str, tuple[Canonical, Canonical]] = field(default_factory=dict)


class Verification:
    """The verification of one entity type, once.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        org: Salesforce.
        comparison: where both sides are put.
        gone_field: the field that marks records as gone, if the integration has one.

    Attributes:
        tally, examples, calls: what was found, and in how many API calls; filled by ``run``.
    """

    def __init__(
        self,
        mapping: Mapping,
        source: Source,
        org: Org,
        comparison: Comparison,
        gone_field: str | None = None,
    ) -> None:
        self.tally = Tally()
        self.examples: list[Example] = []
        self.calls = 0
        self._mapping = mapping
        self._source = source
        self._org = org
        self._comparison = comparison
        self._gone = mapping.columns.index(gone_field) if gone_field else None

    def run(self) -> Iterator[Progress]:
        """Read both sides, compare them, and tell how far it is.

        Raises:
            ConfigurationError: the mapping does not fit the org.
            SyncError: a side could not be read to its end; then nothing is known.
        """
        calls = self._org.calls
        described = self._org.describe(self._mapping.object_name)
        self._fitter = Fitter(self._mapping, described)
        self._kinds = [
            # A lookup is read as its parent's external ID, whatever the field's own type.
            "string" if column.relationship else described.fields[column.field].type
            for column in self._fitter.target.columns
        ]
        self._comparison.begin()
        held = wanted = 0
        only = self._selection()
        for held in self._read_back(only):
            yield Progress(held, 0)
        for wanted in self._read_m3ter():
            yield Progress(held, wanted)
        if only and only.column:
            self._look_for_strays()
        self.tally = self._comparison.settle()
        found = self._comparison.differences(EXAMPLES)
        self.examples = [self._example(difference) for difference in found]
        self.calls = self._org.calls - calls

    def _selection(self) -> Selection | None:
        """The accounts to read back, where they are few enough to be named in a query."""
        ids = self._mapping.scope.fetchable()
        if ids is None or not 0 < len(ids) <= MOST_IDS:
            return None
        if self._account is None and self._mapping.entity.account_field != "id":
            return None
        column = None if self._account is None else self._fitter.target.columns[self._account]
        return Selection(column, ids)

    @property
    def _account(self) -> int | None:
        """Position of the column that names a record's account."""
        fields = self._mapping.fields
        wanted = self._mapping.entity.account_field
        places = (i for i, f in enumerate(fields) if f.source == wanted and f.kind is Kind.LOOKUP)
        return next(places, None)

    def _read_back(self, only: Selection | None) -> Iterator[int]:
        held = 0
        for rows in self._org.read_back(self._fitter.target, only):
            self._comparison.hold([self._held(row) for row in rows])
            held += len(rows)
            yield held

    def _held(self, row: HeldRow) -> Held:
        values = self._canonical(row.values)
        gone = self._gone
        return Held(
            row.m3ter_id,
            row.salesforce_id,
            in_scope=self._in_scope(row.m3ter_id, values),
            flagged=gone is not None and values[gone] != canonical(None, self._kinds[gone]),
            payload=_ENCODE(values),
        )

    def _in_scope(self, m3ter_id: str, values: Sequence[Canonical]) -> bool:
        """Whether a record of Salesforce belongs to an account that the integration carries."""
        if self._mapping.entity.account_field == "id":
            return self._mapping.scope.admits(m3ter_id)
        account = None if self._account is None else values[self._account]
        return self._mapping.scope.admits(account)

    def _read_m3ter(self) -> Iterator[int]:
        pages = self._source.records(self._mapping.entity, self._mapping.scope.fetchable())
        read = 0
        for batch in batched(pages):
            wanted = [row for raw in batch if (row := self._wanted(raw))]
            # A list may name a record twice while it changes; the later one counts.
            self._comparison.want(list({row.m3ter_id: row for row in wanted}.values()))
            read += len(batch)
            yield read

    def _wanted(self, raw: bytes) -> Wanted | None:
        mapped = self._mapping.map(raw)
        fitted = self._fitter.fit(mapped) if isinstance(mapped, Mapped) else mapped
        if fitted is None:
            return None
        if isinstance(fitted, Refused) or not isinstance(mapped, Mapped):
            return Wanted(fitted.m3ter_id)
        payload = _ENCODE(self._canonical(fitted.values))
        return Wanted(mapped.m3ter_id, mapped.fingerprint, payload)

    def _look_for_strays(self) -> None:
        """Find the records that are not under their account: somebody moved them by hand."""
        for ids in self._comparison.unheld(MOST_IDS):
            for rows in self._org.read_back(self._fitter.target, Selection(None, ids)):
                self._comparison.hold([self._held(row) for row in rows])

    def _canonical(self, values: Sequence[object]) -> list[Canonical]:
        return [canonical(value, kind) for value, kind in zip(values, self._kinds, strict=True)]

    def _example(self, found: Difference) -> Example:
        fields = {}
        if found.held and found.wanted:
            pairs = zip(_DECODE(found.wanted), _DECODE(found.held), strict=True)
            names = (column.field for column in self._fitter.target.columns)
            fields = {n: pair for n, pair in zip(names, pairs, strict=True) if pair[0] != pair[1]}
        return Example(found.m3ter_id, found.salesforce_id, found.kind, found.pending, fields)
