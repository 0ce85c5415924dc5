"""Restoring external IDs that were edited by hand in Salesforce."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.external_id_repair import restore_external_ids
from m3sync_dagster.sync.match_and_overwrite import Match
from m3sync_dagster.sync.reconcile_types import SyncedRecord
from m3sync_dagster_tests.sync.conftest import mapping
from m3sync_dagster_tests.sync.test_flag_or_delete import Org


@dataclass
class Edited:
    """Records whose external ID was edited."""

    rows: list[SyncedRecord]
    restored: list[str] = field(default_factory=list)

    def changed_external_ids(self, size: int) -> Iterator[list[SyncedRecord]]:
        yield from (self.rows[n : n + size] for n in range(0, len(self.rows), size))

    def record_restored(self, ids: Sequence[str]) -> None:
        self.restored += ids


@pytest.mark.parametrize(
    ("count", "refused", "restored"),
    [(0, (), []), (2, (), ["m0", "m1"]), (2, ("s0",), ["m1"]), (201, (), None)],
)
def test_external_ids_are_written_by_salesforce_id(
    count: int, refused: tuple[str, ...], restored: list[str] | None
) -> None:
    records = Edited([SyncedRecord(f"m{n}", f"s{n}") for n in range(count)])
    org = Org(refused=frozenset(refused))
    outcome = restore_external_ids(mapping(), org, records)
    assert org.updated == {f"s{n}": {"m3ter_Id__c": f"m{n}"} for n in range(count)}
    expected = [f"m{n}" for n in range(count)] if restored is None else restored
    assert records.restored == expected
    assert (outcome.done, outcome.refused) == (len(expected), len(refused))


def test_update_only_leaves_external_ids_to_people() -> None:
    records, org = Edited([SyncedRecord("m0", "s0")]), Org()
    outcome = restore_external_ids(
        mapping(options=EntityOptions(match=Match.UPDATE_ONLY)), org, records
    )
    assert (org.updated, records.restored) == ({}, [])
    assert (outcome.done, outcome.refused) == (0, 0)
