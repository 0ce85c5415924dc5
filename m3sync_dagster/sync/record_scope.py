"""What m3ter is asked for to know which records are in scope, and in which order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.parents_in_scope import ParentsInScope
from m3sync_dagster.sync.record_fields import decode_identified


def with_scope_of(
    mapping: FieldMapping, source: Source, account_ids: Sequence[str] | None
) -> FieldMapping:
    """The mapping that knows which accounts and parents are in scope, as far as it needs them.

    Args:
        mapping: of the records.
        source: m3ter. It is asked when the first record is mapped.
        account_ids: the accounts that records may belong to; ``None`` for all.
    """
    mapping = _with_matching(mapping, source, account_ids)
    if (parent := mapping.scoped_by) is None:
        return mapping
    return _with_parents(mapping, parent, lambda: source.records(parent, account_ids))


def with_scope_of_record(mapping: FieldMapping, source: Source, raw: bytes) -> FieldMapping:
    """As ``with_scope_of``, for one record: only what decides on its row is read.

    Raises:
        SyncError: m3ter could not be read.
    """
    owners = [one for one in mapping.owners_of(raw) or () if one and isinstance(one, str)]
    if (parent := mapping.scoped_by) is None:
        return _with_matching(mapping, source, owners)
    found = [read for one in owners if (read := source.fetch(parent, one)) is not None]
    accounts = [decode_identified(one)[1].get(parent.account_field) for one in found]
    known = [one for one in accounts if isinstance(one, str)]
    return _with_parents(_with_matching(mapping, source, known), parent, lambda: [found])


def records_of(mapping: FieldMapping, source: Source) -> Iterable[Sequence[bytes]]:
    """List the records of the accounts in scope.

    Parents are read first: children of a parent that is final then do not change any more while
    they are read.

    Raises:
        SyncError: the parents or the records could not be read to the end.
    """
    if mapping.parents:
        mapping.parents.read()
    return source.records(mapping.entity, mapping.scope.fetchable())


def _with_matching(
    mapping: FieldMapping, source: Source, account_ids: Sequence[str] | None
) -> FieldMapping:
    if mapping.scope.expression is None:
        return mapping
    matching = source.matching_accounts(mapping.scope.expression, account_ids)
    return replace(mapping, scope=replace(mapping.scope, matching=matching))


def _with_parents(
    mapping: FieldMapping, parent: EntityType, read: Callable[[], Iterable[Sequence[bytes]]]
) -> FieldMapping:
    parents = ParentsInScope(parent, mapping.scope, mapping.final_when, read)
    return replace(mapping, parents=parents)
