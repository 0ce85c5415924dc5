"""The types of a verification: records of Salesforce, records of m3ter, and their differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from m3sync_dagster.sync.account_link_types import LinkOrg
from m3sync_dagster.sync.row_types import Column, Target
from m3sync_dagster.sync.salesforce_schema import OrgIdentity, SalesforceObject

DifferenceKind = Literal["missing", "changed", "extra", "flagged", "invalid"]
"""How a record differs.

- ``missing``: it is not in Salesforce.
- ``changed``: Salesforce has it with other values.
- ``extra``: it is only in Salesforce.
- ``flagged``: it is only in Salesforce, already marked as deleted.
- ``invalid``: m3ter's record cannot be turned into a row.
"""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A record as Salesforce returns it.

    Args:
        m3ter_id: what its external ID field holds; ``None`` where it is empty.
        salesforce_id: its Id.
        values: one for each column of the ``Target``; of a lookup, the parent's external ID.
    """

    m3ter_id: str | None
    salesforce_id: str
    values: Sequence[object]


@dataclass(frozen=True, slots=True)
class Selection:
    """The records whose column has one of these ids; ``or_empty``: also those without a value."""

    column: Column
    ids: Sequence[str]
    or_empty: bool = False


class Org(LinkOrg, Protocol):
    """Salesforce, for reading alone."""

    def identity(self) -> OrgIdentity:
        """Return the org's identity; see ``interfaces.Destination``."""
        ...

    @property
    def calls(self) -> int:
        """API calls made so far, logins included."""
        ...

    def describe(self, object_name: str) -> SalesforceObject:
        """Describe an object; see ``preflight_schema.SchemaReader``."""
        ...

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        """Read records, a batch at a time.

        Args:
            target: the object, and the columns to read.
            only: these records alone; ``None`` for all that have an external ID.

        Raises:
            SyncError: they could not be read to the end.
        """
        ...


@dataclass(frozen=True, slots=True)
class SalesforceRecord:
    """A record in Salesforce.

    Args:
        m3ter_id, salesforce_id: the record.
        in_scope: whether its account is in the integration's scope; ``None`` where that is not
            known: then it is in scope if the integration has synced it.
        flagged: whether it is marked as deleted in m3ter.
        payload: its external ID and its canonical values.
        external_id_changed: whether its external ID in Salesforce is another one, or empty.
        empty: the fields that are written only if they are empty, and that are. The payload has
            no value of such a field.
    """

    m3ter_id: str
    salesforce_id: str
    in_scope: bool | None
    flagged: bool
    payload: bytes
    external_id_changed: bool = False
    empty: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class M3terRecord:
    """A record in m3ter.

    Args:
        m3ter_id: the record.
        fingerprint: of its row, as in the ledger.
        payload: its external ID and its canonical values; empty where it cannot be a row.
        final: whether m3ter will no longer recalculate it; a record that is not final counts only
            if the integration has synced it before.
        filled: the values of the fields that are written only if they are empty, without nulls.
    """

    m3ter_id: str
    fingerprint: bytes = b""
    payload: bytes = b""
    final: bool = True
    filled: Mapping[str, str | bool | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncedRecord:
    """A record that the integration has synced, and its Salesforce Id.

    ``payload`` is as in ``SalesforceRecord``, where it is needed.
    """

    m3ter_id: str
    salesforce_id: str
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that differs, with the payloads of the sides that have it.

    ``unfilled`` has m3ter's values of fields that are empty in Salesforce and written only
    then.
    """

    m3ter_id: str
    salesforce_id: str | None
    kind: DifferenceKind
    pending: bool
    salesforce_payload: bytes | None
    m3ter_payload: bytes | None
    unfilled: Mapping[str, str | bool | float] | None = None


@dataclass(frozen=True, slots=True)
class DiffCounts:
    """How many records of an entity are in which state.

    Args:
        equal: both have it, with the same values.
        missing: m3ter has it, Salesforce does not.
        changed: both have it, some field differs.
        extra: it is in Salesforce and in scope, and m3ter does not list its m3ter id.
        gone: those of ``extra`` that this integration has synced, so they were deleted in m3ter.
        flagged: as ``extra``, and already marked as deleted.
        invalid: m3ter's record cannot be a row, so there is nothing to compare.
        pending: those of ``missing`` and ``changed`` whose present values Salesforce has not
            acknowledged: they changed in m3ter since the last run, or were rejected.
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
    def in_salesforce(self) -> int:
        """Records in scope that are in Salesforce."""
        return self.equal + self.changed + self.extra + self.flagged

    @property
    def drifted(self) -> int:
        """Records whose values in Salesforce are not those that it acknowledged."""
        return self.missing + self.changed - self.pending

    @property
    def matches(self) -> bool:
        """Whether Salesforce has the same records and values as m3ter."""
        return not (self.missing or self.changed or self.extra or self.invalid)

    @property
    def in_both(self) -> int:
        """Records that are in Salesforce and in m3ter's list."""
        return self.equal + self.changed


class Reconciliation(Protocol):
    """Both sides of one entity, to be compared."""

    def begin(self, salesforce_org_id: str) -> None:
        """Start with both sides empty; rows synced to other orgs are ignored."""
        ...

    def add_salesforce(self, rows: Sequence[SalesforceRecord]) -> None:
        """Add records of Salesforce."""
        ...

    def add_m3ter(self, rows: Sequence[M3terRecord]) -> None:
        """Add records of m3ter. A record that is added again replaces the earlier one."""
        ...

    def missing_ids(self, size: int) -> Iterator[list[str]]:
        """Yield the ids that only m3ter has, ``size`` at a time."""
        ...

    def match_by_salesforce_id(self) -> None:
        """Give records whose external ID was edited the m3ter id under which they were synced.

        They are recognized by their Salesforce Id. A record whose external ID is the id of another
        record of m3ter keeps it.
        """
        ...

    def missing_salesforce_ids(self, size: int) -> Iterator[list[str]]:
        """Yield the Salesforce Ids that the records of ``missing_ids`` were synced to."""
        ...

    def m3ter_ids_of_missing(self, salesforce_ids: Sequence[str]) -> dict[str, str]:
        """Return those that ``missing_salesforce_ids`` yields, with the m3ter id of each."""
        ...

    def ids_in_m3ter(self, ids: Sequence[str]) -> set[str]:
        """Return those of these ids that m3ter has."""
        ...

    def remove_salesforce(self, salesforce_ids: Sequence[str]) -> None:
        """Remove records from Salesforce's side again."""
        ...

    def compare(self) -> DiffCounts:
        """Compare both sides; call it again after more records were added."""
        ...

    def extra_records(self, ids: Sequence[str]) -> dict[str, str]:
        """Return those of these ids that are only in Salesforce, with the Salesforce Id of each."""
        ...

    def differences(self, most: int) -> list[Difference]:
        """Return the first records that differ, at most ``most`` of each kind."""
        ...
