"""The two sides of a verification, and where they are laid beside each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from m3sync_dagster.sync.rows import Column, Target
from m3sync_dagster.sync.salesforce_schema import OrgIdentity, SalesforceObject

DifferenceKind = Literal["missing", "changed", "extra", "flagged", "invalid"]
"""How a record differs: it is not in Salesforce; it is, with other values; it is in Salesforce
alone; it is so, and marked as gone; m3ter's record cannot be a row at all."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A record as Salesforce gives it back.

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
    """The records whose column holds one of these ids; ``or_empty``: or none at all."""

    column: Column
    ids: Sequence[str]
    or_empty: bool = False


class Org(Protocol):
    """Salesforce, for reading alone."""

    def identity(self) -> OrgIdentity:
        """Say which org it is; see ``interfaces.Destination``."""
        ...

    @property
    def calls(self) -> int:
        """API calls made so far, logins included."""
        ...

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; see ``ports.Destination``."""
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
    """A record of Salesforce's side of a comparison.

    Args:
        m3ter_id, salesforce_id: the record.
        in_scope: whether its account is one that the integration carries; ``None`` where nobody
            can tell, so that it is if the integration has written it.
        flagged: whether it is marked as gone from m3ter.
        payload: its external ID and its canonical values.
        displaced: whether it goes by another external ID in Salesforce, or by none.
    """

    m3ter_id: str
    salesforce_id: str
    in_scope: bool | None
    flagged: bool
    payload: bytes
    displaced: bool = False


@dataclass(frozen=True, slots=True)
class M3terRecord:
    """A record of m3ter's side of a comparison.

    Args:
        m3ter_id: the record.
        fingerprint: of its row, as the ledger knows it.
        payload: its external ID and its canonical values; empty where it cannot be a row.
        settled: whether it counts; if not, it does only if the integration has written it before.
    """

    m3ter_id: str
    fingerprint: bytes = b""
    payload: bytes = b""
    settled: bool = True


@dataclass(frozen=True, slots=True)
class SyncedRecord:
    """A record that the integration has written, and its Salesforce Id."""

    m3ter_id: str
    salesforce_id: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that differs, with both payloads as far as there are any."""

    m3ter_id: str
    salesforce_id: str | None
    kind: DifferenceKind
    pending: bool
    held: bytes | None
    wanted: bytes | None


@dataclass(frozen=True, slots=True)
class DiffCounts:
    """How many records of an entity are in which state.

    Args:
        equal: Salesforce holds what m3ter holds.
        missing: m3ter has it, Salesforce does not.
        changed: both have it, some field differs.
        extra: Salesforce has it, in scope, under an m3ter id that m3ter does not list at all.
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
        return not (self.missing or self.changed or self.extra or self.invalid)

    @property
    def kept(self) -> int:
        """Records that Salesforce holds and m3ter lists."""
        return self.equal + self.changed


class Reconciliation(Protocol):
    """Where both sides of one entity are laid beside each other."""

    def begin(self, salesforce_org_id: str) -> None:
        """Start with nothing on either side; what is stored of other orgs does not count."""
        ...

    def hold(self, rows: Sequence[SalesforceRecord]) -> None:
        """Put down records of Salesforce."""
        ...

    def want(self, rows: Sequence[M3terRecord]) -> None:
        """Put down records of m3ter. One that comes again takes the later row."""
        ...

    def unheld(self, size: int) -> Iterator[list[str]]:
        """Give the ids that only m3ter's side has, so many at a time."""
        ...

    def displace(self) -> None:
        """Take records that go by another external ID for those that the integration has written.

        Those whose external ID is of a record on m3ter's side stay what they are.
        """
        ...

    def lost(self, size: int) -> Iterator[list[str]]:
        """Give the Salesforce Ids that those of ``unheld`` had when the integration wrote them."""
        ...

    def lost_among(self, salesforce_ids: Sequence[str]) -> dict[str, str]:
        """Tell which of these are such Ids, and the m3ter id of each."""
        ...

    def wants(self, ids: Sequence[str]) -> set[str]:
        """Tell which of these ids m3ter's side has."""
        ...

    def let_go(self, salesforce_ids: Sequence[str]) -> None:
        """Take records off Salesforce's side again."""
        ...

    def compare(self) -> DiffCounts:
        """Compare; again after more has been put down."""
        ...

    def extras(self, ids: Sequence[str]) -> dict[str, str]:
        """Tell which of these ids were found extra, and the Salesforce Id of each."""
        ...

    def differences(self, most: int) -> list[Difference]:
        """Give the first records that differ, of each kind up to so many."""
        ...
