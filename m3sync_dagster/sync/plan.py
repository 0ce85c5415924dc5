"""What a sync would send, without sending it: read, map, compare, and show.

Nothing here is written anywhere. A row that Salesforce has acknowledged before counts as an
update, any other as a new record. A row that Salesforce has refused for good more than once rests
for a while, and would not be sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import filterfalse
from typing import Any, Literal, Protocol, get_args

from m3sync_dagster.sync.canonical_values import canonical
from m3sync_dagster.sync.engine import batched
from m3sync_dagster.sync.interfaces import Column, SalesforceObject, Source
from m3sync_dagster.sync.mapping import FieldMapping, Mapped
from m3sync_dagster.sync.results import Rejected, Row, Value
from m3sync_dagster.sync.row_validation import RowValidator

SAMPLE = 20
"""Changed rows of an entity that are shown field by field."""

Action = Literal["create", "update", "unchanged", "invalid", "resting"]


class KnownRows(Protocol):
    """What Salesforce has acknowledged, for reading alone."""

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Tell which JSON texts are not those of acknowledged rows, by their positions."""
        ...

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the fingerprints of those records' acknowledged rows, by m3ter id."""
        ...


class Org(Protocol):
    """Salesforce, for reading alone."""

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; see ``ports.Destination``."""
        ...

    def query(self, soql: str) -> Iterator[dict[str, Any]]:
        """Run a SOQL query.

        Raises:
            SyncError: the query was refused, or could not be read to its end.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A changed row: its Salesforce fields that differ, each with its value before and after."""

    m3ter_id: str
    action: Action
    changes: dict[str, tuple[Any, Value]]


@dataclass(slots=True)
class EntityPlan:
    """The plan of one entity type.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        known: what Salesforce has acknowledged so far.
        org: Salesforce.
        resting: tells which records rest, of their fingerprints by m3ter id.
        counts: filled by ``run``: records by what would become of them.
        sample: filled by ``run``: the first rows that would be sent.
    """

    mapping: FieldMapping
    source: Source
    known: KnownRows
    org: Org
    resting: Callable[[Mapping[str, bytes]], set[str]]
    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(get_args(Action), 0))
    sample: list[Sample] = field(default_factory=list)

    def run(self) -> Iterator[int]:
        """Make the plan, and tell after each batch how many records have been read.

        Raises:
            ConfigurationError: the mapping does not fit the org.
            SyncError: m3ter, Salesforce or the state could not be read to the end.
        """
        described = self.org.describe(self.mapping.object_name)
        fitter = RowValidator(self.mapping, described)
        chosen: list[tuple[Row, Action]] = []
        read = 0
        pages = self.source.records(self.mapping.entity, self.mapping.scope.fetchable())
        for batch in batched(pages):
            rows = self._take(batch, fitter)
            chosen.extend(rows[: SAMPLE - len(chosen)])
            read += len(batch)
            yield read
        present = _Present(self.org, fitter, described)
        self.sample = present.compare(chosen)

    def _take(self, batch: Sequence[bytes], fitter: RowValidator) -> list[tuple[Row, Action]]:
        """Count what a batch changes, and give the rows that would be sent."""
        unseen = self.known.unseen([self.mapping.digest(raw) for raw in batch])
        self.counts["unchanged"] += len(batch) - len(unseen)
        mapped: dict[str, Mapped] = {}
        refused: dict[str, Rejected] = {}
        for place in unseen:
            match self.mapping.map(batch[place]):
                case Mapped() as row:
                    mapped[row.m3ter_id] = row
                case Rejected() as problem:
                    refused[problem.m3ter_id] = problem
        self.counts["invalid"] += len(refused)
        return list(self._changed(mapped, fitter))

    def _changed(
        self, mapped: dict[str, Mapped], fitter: RowValidator
    ) -> Iterator[tuple[Row, Action]]:
        held = self.known.acknowledged(list(mapped))
        mapped = {key: row for key, row in mapped.items() if row.settled or key in held}
        changed = {key: row for key, row in mapped.items() if held.get(key) != row.fingerprint}
        resting = self.resting({key: row.fingerprint for key, row in changed.items()})
        self.counts["unchanged"] += len(mapped) - len(changed)
        self.counts["resting"] += len(resting)
        for m3ter_id in filterfalse(resting.__contains__, changed):
            fitted = fitter.fit(changed[m3ter_id])
            action: Action = "update" if m3ter_id in held else "create"
            if isinstance(fitted, Row):
                yield fitted, action
            else:
                action = "invalid"
            self.counts[action] += 1


class _Present:
    """What Salesforce shows of a few records now."""

    def __init__(self, org: Org, fitter: RowValidator, described: SalesforceObject) -> None:
        self._org = org
        self._target = fitter.target
        self._types = [described.fields[column.field].type for column in self._target.columns]

    def compare(self, rows: Sequence[tuple[Row, Action]]) -> list[Sample]:
        """Say of each row which fields it would change."""
        found = self._read([row.m3ter_id for row, _ in rows]) if rows else {}
        return [
            Sample(row.m3ter_id, action, self._changes(row, found.get(row.m3ter_id, {})))
            for row, action in rows
        ]

    def _read(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        key = self._target.external_id_field
        fields = ", ".join([key, *(_path(column) for column in self._target.columns)])
        wanted = ", ".join(map(quoted, ids))
        soql = f"SELECT {fields} FROM {self._target.object} WHERE {key} IN ({wanted})"  # noqa: S608 - names are the org's own, ids are quoted
        return {str(record[key]): record for record in self._org.query(soql)}

    def _changes(self, row: Row, record: dict[str, Any]) -> dict[str, tuple[Any, Value]]:
        changes = {}
        for column, kind, after in zip(self._target.columns, self._types, row.values, strict=True):
            before = _value(record, column)
            if canonical(before, kind) != canonical(after, kind):
                changes[column.field] = (before, after)
        return changes


def quoted(text: str) -> str:
    """A text as SOQL writes it.

    Source: SOQL and SOSL Reference, "Quoted String Escape Sequences".
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"


def _path(column: Column) -> str:
    """How SOQL reaches what a row carries: for a lookup, the parent's external ID."""
    if column.relationship:
        return f"{column.relationship}.{column.parent_external_id}"
    return column.field


def _value(record: dict[str, Any], column: Column) -> object:
    if column.relationship:
        return (record.get(column.relationship) or {}).get(column.parent_external_id)
    return record.get(column.field)
