"""Results of records, and the counts of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ErrorClass(StrEnum):
    """The class of a rejected row, which decides what happens to it next.

    ``INVALID`` is found before the row is sent; the others follow from Salesforce's answer.
    """

    INVALID = "invalid"
    TRANSIENT = "transient"
    QUOTA = "quota"
    AUTHENTICATION = "authentication"
    CONFIGURATION = "configuration"
    PERMANENT = "permanent"
    DEPENDENCY = "dependency"
    COLLATERAL = "collateral"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Salesforce accepted the row; ``created``: as a new record."""

    m3ter_id: str
    salesforce_id: str
    created: bool


LONGEST_REFUSED = 500
"""Characters of a refused value that are stored."""


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """What a person recognizes a rejected record by, and the values that were refused.

    Args:
        name, code: the record's in m3ter, where it has them.
        refused: Salesforce field to the value that was refused, as text; ``None`` for no value.
    """

    name: str | None = None
    code: str | None = None
    refused: Mapping[str, str | None] = field(default_factory=dict)


def value_text(value: object) -> str | None:
    """A value as text, shortened; ``None`` for no value."""
    return None if value is None else str(value)[:LONGEST_REFUSED]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The row is invalid, or Salesforce rejected it.

    Args:
        m3ter_id: the record.
        error_class: what happens to it next.
        code: Salesforce's status code, or ours for an invalid row.
        message: the cause in words.
        fields: API names of the Salesforce fields that the answer names.
        record: what the record is called, and the values of these fields.
    """

    m3ter_id: str
    error_class: ErrorClass
    code: str
    message: str
    fields: tuple[str, ...] = ()
    record: RefusedRecord | None = field(default=None, compare=False)

    @property
    def was_sent(self) -> bool:
        """Whether the row was sent to Salesforce, which has rejected it."""
        return self.was_staged and self.code != NO_RECORD

    @property
    def was_staged(self) -> bool:
        """Whether the row was staged; one with a parent that has no record is not."""
        return self.error_class is not ErrorClass.INVALID and self.code != NO_PARENT_RECORD

    @property
    def waits_for_parent(self) -> bool:
        """Whether Salesforce did not find a record that it points to."""
        return self.error_class is ErrorClass.DEPENDENCY and self.was_sent


RowResult = Acknowledged | Rejected

NO_SUCH_RECORD = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
"""Salesforce's codes for a Salesforce Id whose record was deleted."""

NO_RECORD = "M3SYNC_NO_RECORD"
"""Code of a row that is not sent, because it may only update and Salesforce has no record."""

NO_PARENT_RECORD = "M3SYNC_NO_PARENT_RECORD"
"""Code of a row that is not sent, because its parent has the code ``NO_RECORD``."""

PARENT_NOT_FOUND = "Foreign key external ID"
"""Starts Salesforce's message about a parent that does not exist; its external ID follows."""


REFUSED_LINK = "the link of this account"
"""Is in our words about a row that Salesforce rejected because of its link to a CRM record."""


class Count(StrEnum):
    """The six counts of records, which add up to the number read."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    REJECTED = "rejected"
    WAITING = "waiting"


class Counts(Counter[Count]):
    """The counts of one entity in one run."""

    @property
    def read(self) -> int:
        """Records read from m3ter that are in scope."""
        return self.total()

    @property
    def failed(self) -> int:
        """Records whose values in Salesforce are not those in m3ter."""
        return self[Count.INVALID] + self[Count.REJECTED] + self[Count.WAITING]

    def as_dict(self) -> dict[str, int]:
        """``read`` and the six counts, in the documented order."""
        return {"read": self.read} | {count.value: self[count] for count in Count}
