"""The basis of stored fingerprints, and what happens to them when it changes.

A fingerprint claims: this Salesforce org has, in this object, under this external ID field, this
row of this m3ter organization. If one of these four changes, the fingerprint is not valid for the
next run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from m3sync_dagster.sync.row_results import Rejected

if TYPE_CHECKING:
    from m3sync_dagster.sync.known_rows import KnownRows
    from m3sync_dagster.sync.row_types import RecordHash


@dataclass(frozen=True, slots=True)
class FingerprintBasis:
    """The org, organization, object and field for which fingerprints are valid.

    Args:
        salesforce_org_id: see ``OrgIdentity.organization_id``.
        m3ter_org_id: the m3ter organization's id.
        object_name: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
        restored: whether the fingerprints come from a backup, so that Salesforce may have changed
            since they were stored.
    """

    salesforce_org_id: str
    m3ter_org_id: str
    object_name: str
    external_id_field: str
    restored: bool = False


class BasisChange(Enum):
    """What has changed since the fingerprints were stored, and so what a run does with them."""

    NONE = auto()
    """Nothing has changed: they are valid."""
    UNKNOWN = auto()
    """No basis is stored: they are withdrawn, the Salesforce Ids are kept."""
    OTHER_PLACE = auto()
    """Another org, m3ter organization or object: they and the Salesforce Ids are deleted."""
    OTHER_KEY = auto()
    """Only the external ID field: the synced records get their external ID in the new field."""
    OTHER_DATABASE = auto()
    """The state was restored: they are withdrawn, the Salesforce Ids are kept."""


def compare(stored: FingerprintBasis | None, current: FingerprintBasis) -> BasisChange:
    """Compare the stored basis with the current one.

    API names of Salesforce are not case-sensitive.
    """
    if stored is None:
        return BasisChange.UNKNOWN
    if _place(stored) != _place(current):
        return BasisChange.OTHER_PLACE
    if stored.external_id_field.casefold() != current.external_id_field.casefold():
        return BasisChange.OTHER_KEY
    if stored.restored:
        return BasisChange.OTHER_DATABASE
    return BasisChange.NONE


def describe_change(credential: str, stored: FingerprintBasis, current: FingerprintBasis) -> str:
    """Describe in words what has changed.

    Args:
        credential: name of the Salesforce credential.
        stored: the basis of the fingerprints.
        current: the basis of this run.
    """
    pairs = (
        (f"the org behind {credential}", stored.salesforce_org_id, current.salesforce_org_id),
        ("the m3ter organization", stored.m3ter_org_id, current.m3ter_org_id),
        ("the Salesforce object", stored.object_name, current.object_name),
    )
    changes = [
        f"{what} is {new}, until now it was {old}"
        for what, old, new in pairs
        if old.casefold() != new.casefold()
    ]
    return " and ".join(changes)


def _place(basis: FingerprintBasis) -> tuple[str, str, str]:
    return basis.salesforce_org_id, basis.m3ter_org_id, basis.object_name.casefold()


class KnownRowsAfterChange:
    """The ``KnownRows`` of a plan after a change of the basis: no fingerprint is valid.

    Args:
        known: the stored rows.
        change: what has changed.
    """

    def __init__(self, known: "KnownRows", change: BasisChange) -> None:
        self._known = known
        self._other_place = change is BasisChange.OTHER_PLACE

    def unknown_digests(self, digests: Sequence[bytes]) -> list[int]:
        """All digests are unknown."""
        return list(range(len(digests)))

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        """The records in Salesforce, without fingerprints; none if the place has changed."""
        return {} if self._other_place else dict.fromkeys(self._known.acknowledged(ids))

    def paused(self, seen: Sequence["RecordHash"]) -> list[Rejected]:  # noqa: ARG002 - as the interface has it
        """The change ends all pauses."""
        return []

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:  # noqa: ARG002 - as above
        """What was not found before the change may be found now."""
        return set()
