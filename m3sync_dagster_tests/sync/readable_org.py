"""A Salesforce whose records can be read back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import (
    ReadRow,
    Selection,
)
from m3sync_dagster.sync.row_types import Target
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster_tests.sync.conftest import Org
from m3sync_dagster_tests.sync.fitting_object import fitting
from m3sync_dagster_tests.sync.test_account_links import LOOKUP


@dataclass
class SalesforceRow:
    """A record in Salesforce: its external ID, and its values by field."""

    external_id: str | None
    values: dict[str, object]


class ReadableOrg(Org):
    """An org whose records can be read back."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, SalesforceRow] = {}
        self.selections: list[Selection | None] = []

    def _describe(self, object_name: str) -> SalesforceObject:
        described = super()._describe(object_name)
        flag = SalesforceField("Deleted__c", "boolean")
        return replace(described, fields=described.fields | {flag.name: flag})

    def take_over(self) -> None:
        """Make what was sent readable."""
        self.rows = {
            self.ids[m3ter_id]: SalesforceRow(m3ter_id, dict(values))
            for m3ter_id, values in self.held.items()
        }

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        self.calls += 1
        self.selections.append(only)
        yield [
            ReadRow(row.external_id, key, [row.values.get(c.field) for c in target.columns])
            for key, row in self.rows.items()
            if _is_selected(key, row, target, only)
        ]


def _is_selected(key: str, row: SalesforceRow, target: Target, only: Selection | None) -> bool:
    if only is None:
        return row.external_id is not None
    special = {"Id": key, target.external_id_field: row.external_id}
    value = special.get(only.column.field, row.values.get(only.column.field))
    return value in only.ids or (only.or_empty and value is None)


class Read(ReadableOrg):
    """An org with the object of a mapping, and these rows, by Salesforce Id, that no run sent."""

    def __init__(self, built: FieldMapping, **rows: SalesforceRow) -> None:
        super().__init__()
        self.built = built
        self.rows = rows
        self.filterable: bool | None = None

    def _describe(self, _object_name: str) -> SalesforceObject:
        described = fitting(self.built)
        fields = {
            name: replace(field, filterable=self.filterable) if field.relationship else field
            for name, field in described.fields.items()
        }
        link = SalesforceField(LOOKUP, "reference", refers_to=("Account",))
        flag = SalesforceField("Deleted__c", "boolean")
        return replace(described, fields=fields | {LOOKUP: link, flag.name: flag})
