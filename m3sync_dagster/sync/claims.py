"""What the stored fingerprints of an entity are claims about, and when they stop being true.

A fingerprint says: this Salesforce org, in this object, under this external ID field, holds this
row of this m3ter organization. Where one of these four has changed, the fingerprint says nothing
about the place that the next run writes to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from m3sync_dagster.sync.results import Rejected

if TYPE_CHECKING:
    from m3sync_dagster.sync.interfaces import KnownRows
    from m3sync_dagster.sync.rows import RecordHash


@dataclass(frozen=True, slots=True)
class ClaimBasis:
    """What the fingerprints of one entity of one integration are about.

    Args:
        salesforce_org_id: see ``OrgIdentity.organization_id``.
        m3ter_org_id: the m3ter organization's id.
        object_name: API name of the Salesforce object.
        external_id_field: API name of the field that holds the m3ter id.
    """

    salesforce_org_id: str
    m3ter_org_id: str
    object_name: str
    external_id_field: str


class BasisChange(Enum):
    """What a run does about fingerprints that an earlier run stored."""

    NONE = auto()
    """Nothing has changed: they hold."""
    UNKNOWN = auto()
    """It was never stored what they are about: they are withdrawn, the Salesforce Ids are kept."""
    OTHER_PLACE = auto()
    """They are about another org, m3ter organization or object: they and the Ids are dropped."""
    OTHER_KEY = auto()
    """Only the external ID field is another: the known records get the new external ID first."""


def compare(stored: ClaimBasis | None, current: ClaimBasis) -> BasisChange:
    """Say what has changed since the fingerprints were stored.

    API names of Salesforce are the same in capital and small letters.
    """
    if stored is None:
        return BasisChange.UNKNOWN
    if _place(stored) != _place(current):
        return BasisChange.OTHER_PLACE
    if stored.external_id_field.casefold() != current.external_id_field.casefold():
        return BasisChange.OTHER_KEY
    return BasisChange.NONE


def describe_change(credential: str, stored: ClaimBasis, current: ClaimBasis) -> str:
    """Say in words which of the places has changed.

    Args:
        credential: name of the Salesforce credential.
        stored: what the fingerprints are about.
        current: what this run writes to.
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


def _place(basis: ClaimBasis) -> tuple[str, str, str]:
    return basis.salesforce_org_id, basis.m3ter_org_id, basis.object_name.casefold()


class NothingHolds:
    """A ``KnownRows`` for a plan that follows a change of the basis: no fingerprint holds.

    Args:
        known: what is stored.
        change: what has changed.
    """

    def __init__(self, known: "KnownRows", change: BasisChange) -> None:
        self._known = known
        self._other_place = change is BasisChange.OTHER_PLACE

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Every record has to be looked at."""
        return list(range(len(digests)))

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        """The records that Salesforce holds, none of them with a fingerprint."""
        return {} if self._other_place else dict.fromkeys(self._known.acknowledged(ids))

    def paused(self, seen: Sequence["RecordHash"]) -> list[Rejected]:  # noqa: ARG002 - as the interface has it
        """No pause outlives the change."""
        return []
