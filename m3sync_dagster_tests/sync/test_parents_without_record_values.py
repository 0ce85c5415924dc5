"""Which parents are looked up for rows, and how a row that waits is reported."""

from collections.abc import Sequence

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.match_and_overwrite import Match
from m3sync_dagster.sync.parents_without_record import waiting_with_parent
from m3sync_dagster.sync.row_results import (
    NO_PARENT_RECORD,
    ErrorClass,
    RefusedRecord,
    Rejected,
)
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster_tests.sync.test_change_detection import StoredRows

UPDATE_ONLY = EntityOptions(match=Match.UPDATE_ONLY)
BALANCES = build_mapping(
    ENTITIES["balance"],
    {"account": UPDATE_ONLY, "contract": UPDATE_ONLY, "balance": EntityOptions()},
    "",
)


class Parents(StoredRows):
    """Parents without a record, of which it is noted which ones were looked up."""

    def __init__(self, *without: str) -> None:
        super().__init__(parents=frozenset(without))
        self.asked: list[tuple[str, Sequence[str]]] = []

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        self.asked.append((entity, ids))
        return super().without_record(entity, ids)


def balance(m3ter_id: str, account: str | None, contract: str | None) -> Row:
    values = {"Name": "n", "m3ter_Account__c": account, "m3ter_Contract__c": contract}
    return Row(m3ter_id, [values.get(name) for name in BALANCES.columns])


def waiting(m3ter_id: str, kind: str, parent: str) -> tuple[Rejected, RefusedRecord]:
    field = f"m3ter_{kind}__c"
    cause = (
        f"{field} points to the {field} whose m3ter_Id__c is {parent}: Salesforce has none, and "
        f"match: update_only of the {kind.lower()} creates none"
    )
    code = NO_PARENT_RECORD
    rejected = Rejected(m3ter_id, ErrorClass.DEPENDENCY, code, cause, (field,))
    return rejected, RefusedRecord("n", None, {field: parent})


@pytest.mark.parametrize(
    ("rows", "asked", "found"),
    [
        ([], [], []),
        ([balance("x", None, None)], [], []),
        (
            [balance("x", "a2", "c1"), balance("y", "a1", None), balance("z", "a1", "c1")],
            [("account", ["a1", "a2"]), ("contract", ["c1"])],
            [],
        ),
        (
            [balance("x", "lost", "c1"), balance("y", "a1", "lost"), balance("z", None, "c1")],
            [("account", ["a1", "lost"]), ("contract", ["c1", "lost"])],
            [waiting("x", "Account", "lost"), waiting("y", "Contract", "lost")],
        ),
        (
            [balance("x", "lost", "gone")],
            [("account", ["lost"]), ("contract", ["gone"])],
            [waiting("x", "Account", "lost")],
        ),
    ],
)
def test_each_parent_is_looked_up_once_and_a_row_waits_with_the_first_that_has_no_record(
    rows: list[Row],
    asked: list[tuple[str, Sequence[str]]],
    found: list[tuple[Rejected, RefusedRecord]],
) -> None:
    known = Parents("lost", "gone")
    waits = waiting_with_parent(BALANCES, known, rows)
    assert [(one, one.record) for one in waits] == found
    assert known.asked == asked
