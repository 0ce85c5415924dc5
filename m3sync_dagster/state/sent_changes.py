"""Writing the history of what was sent, in the transactions that record Salesforce's answers.

The values before a change are those that Salesforce acknowledged last: ``synced_record`` keeps them
as ``sent_values``, with their fields in ``sent_fields``. Where they are not known, a change has no
``before``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import psycopg
import xxhash

from m3sync_dagster.state import _sent_changes_sql as sql
from m3sync_dagster.state.record_matches import NOT_SENT
from m3sync_dagster.sync.row_results import (
    Acknowledged,
    Rejected,
    RowResult,
)

ACCEPTED = "accepted"
"""The answer to a row that Salesforce has accepted; for others, it is Salesforce's code."""
SAMPLE = 10
"""Written rows that are shown with a run."""
LONGEST_VALUE = 500
"""Characters of a value that are stored; a longer one ends with an ellipsis."""
MOST_UNKNOWN = 2_000
"""Rows of a run whose values before are not known, and that are stored with all their values.

A run sends more of them when it compares every record anew; these have no changes in the history.
"""
_LONGEST_NUMBER = 40
_NOT_STORED = ""  # the name of a masked field in ``sent_fields``

_ENCODE = msgspec.json.encode
_RAW_VALUES = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_WORDS = (b"true", b"false", b"null")


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A row that Salesforce has accepted.

    Args:
        action: ``created`` or ``updated``.
        m3ter_id, salesforce_id: the record.
        fields: the Salesforce fields that have changed, without masked ones; ``None`` where their
            values are not stored, as for a created record.
    """

    action: str
    m3ter_id: str
    salesforce_id: str
    fields: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Change:
    """What a row changes: the record's Salesforce Id, and field to its values, encoded."""

    salesforce_id: str | None
    fields: tuple[str, ...] | None
    encoded: str | None


_UNKNOWN = _Change(None, None, None)


class SentChanges:
    """The history of one entity, for one run.

    Args:
        connection: the connection that records the results of rows.
        key: integration, entity and run id, as the ledger names them.
        fields: API names of the Salesforce fields, in the order of a row's values.
        masked: those whose values are not stored.

    Attributes:
        sample: the first rows that Salesforce has accepted.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        key: Mapping[str, str],
        fields: Sequence[str],
        masked: Collection[str],
    ) -> None:
        self.sample: list[WrittenRow] = []
        self._connection = connection
        self._key = dict(key)
        self._masked = sorted(masked)
        self._fields = [_NOT_STORED if name in masked else name for name in fields]
        self._id: int | None = None
        self._unknown = 0

    @property
    def fields_id(self) -> int:
        """The id of these fields in ``sent_fields``, where they are added at the first use."""
        if self._id is None:
            digest = xxhash.xxh3_128_digest(_ENCODE(self._fields))
            self._execute(sql.ADD_FIELDS, fields=self._fields, digest=digest)
            (self._id,) = self._execute(sql.FIELDS_ID, digest=digest).fetchone() or (0,)
        return self._id

    def delete_masked(self) -> None:
        """Delete the values of masked fields that were stored before the fields were masked."""
        if not self._masked:
            return
        with self._connection.transaction():
            self._execute(sql.DELETE_REFUSED, masked=self._masked)
            found = self._execute(sql.WITH_MASKED_FIELDS, masked=self._masked).fetchall()
            if ids := [number for (number,) in found]:
                self._execute(sql.DELETE_VALUES, ids=ids)
                self._execute(sql.DELETE_CHANGES, masked=self._masked)
                self._execute(sql.DELETE_FIELDS, ids=ids)

    def record(self, results: Sequence[RowResult]) -> None:
        """Add the results of staged rows; called before they are acknowledged and deleted.

        The staged rows lose the values of masked fields, so that these are not acknowledged.
        """
        sent = [one for one in results if _is_sent(one)]
        if not sent:
            return
        if self._masked:
            self._mask_staged([one.m3ter_id for one in sent])
        compared = self._compare([one.m3ter_id for one in sent if not _is_created(one)])
        self._add_to_sample(sent, compared)
        changes = [(one, _known(one, compared)) for one in sent]
        self._execute(
            sql.RECORD,
            masked=self._masked or None,
            ids=[one.m3ter_id for one in sent],
            salesforce_ids=[
                one.salesforce_id if isinstance(one, Acknowledged) else change.salesforce_id
                for one, change in changes
            ],
            actions=[_action(one) for one in sent],
            answers=[one.code if isinstance(one, Rejected) else ACCEPTED for one in sent],
            changes=[change.encoded for _, change in changes],
        )

    def _mask_staged(self, ids: Sequence[str]) -> None:
        found = self._execute(sql.STAGED, ids=list(ids)).fetchall()
        payloads = []
        for _, payload in found:
            pairs = zip(self._fields, _RAW_VALUES.decode(payload), strict=True)
            payloads.append(_ENCODE([None if name == _NOT_STORED else raw for name, raw in pairs]))
        self._execute(sql.SET_PAYLOADS, ids=[m3ter_id for m3ter_id, _ in found], payloads=payloads)

    def _compare(self, ids: Sequence[str]) -> dict[str, _Change]:
        """What the staged rows of these records change, by m3ter id."""
        found = self._execute(sql.BEFORE, ids=list(ids)) if ids else ()
        return {m3ter_id: self._change(*row) for m3ter_id, *row in found}

    def _change(
        self,
        payload: bytes,
        salesforce_id: str | None,
        sent_values: bytes | None,
        fields: Sequence[str] | None,
    ) -> _Change:
        before: dict[str, bytes] = {}
        if sent_values is not None and fields is not None:
            before = _by_field(fields, sent_values)
        else:
            self._unknown += 1
            if self._unknown > MOST_UNKNOWN:
                return _Change(salesforce_id, None, None)
        changed = {
            name: _with_before(before, name) | {"after": _stored(value)}
            for name, value in _by_field(self._fields, payload).items()
            if before.get(name) != value
        }
        return _Change(salesforce_id, tuple(changed), _ENCODE(changed).decode())

    def _add_to_sample(
        self, sent: Sequence[Acknowledged | Rejected], compared: Mapping[str, _Change]
    ) -> None:
        accepted = [one for one in sent if isinstance(one, Acknowledged)]
        first = accepted[: SAMPLE - len(self.sample)]
        if not first:
            return
        found = self._execute(sql.STAGED, ids=[one.m3ter_id for one in first])
        staged = {m3ter_id for m3ter_id, _ in found}
        self.sample += [
            WrittenRow(
                _action(one),
                one.m3ter_id,
                one.salesforce_id,
                compared.get(one.m3ter_id, _UNKNOWN).fields,
            )
            for one in first
            if one.m3ter_id in staged
        ]

    def _execute(self, query: str, **values: object) -> psycopg.Cursor:
        return self._connection.execute(query, self._key | values)


def _is_sent(result: RowResult) -> bool:
    return isinstance(result, Acknowledged) or result.was_sent


def _is_created(result: RowResult) -> bool:
    return isinstance(result, Acknowledged) and result.created


def _known(result: RowResult, compared: Mapping[str, _Change]) -> _Change:
    """What is known of a change. A row that was to create a record has no values, as if created."""
    change = compared.get(result.m3ter_id, _UNKNOWN)
    return change if isinstance(result, Acknowledged) or change.salesforce_id else _UNKNOWN


def _action(result: RowResult) -> str:
    if isinstance(result, Rejected):
        return "rejected"
    return "created" if result.created else "updated"


def _by_field(fields: Sequence[str], payload: bytes) -> dict[str, bytes]:
    """The encoded value of each field that was sent and is not masked."""
    pairs = zip(fields, map(bytes, _RAW_VALUES.decode(payload)), strict=True)
    return {name: raw for name, raw in pairs if name != _NOT_STORED and raw != NOT_SENT}


def _with_before(before: Mapping[str, bytes], name: str) -> dict[str, msgspec.Raw | str]:
    """A field's value before a change, if it is known."""
    return {"before": _stored(before[name])} if name in before else {}


def _stored(encoded: bytes) -> msgspec.Raw | str:
    """A value as ``jsonb`` can store it.

    A text is cut to ``LONGEST_VALUE`` and has no NUL character. A number with an exponent or very
    many digits becomes a text: PostgreSQL would write out all its digits, or refuse it.
    """
    if encoded.startswith(b'"'):
        return _cut(_TEXT.decode(encoded))
    plain = encoded in _WORDS or (len(encoded) <= _LONGEST_NUMBER and b"E" not in encoded.upper())
    return msgspec.Raw(encoded) if plain else _cut(encoded.decode())


def _cut(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
