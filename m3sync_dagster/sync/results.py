"""What became of records: the words shared by everything that counts, records or shows them."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Value = str | bool | int | Decimal | None
"""A value as it goes to Salesforce: exact, typed, and ``None`` where the field is to be cleared."""


class ErrorClass(StrEnum):
    """What kind of trouble a row is in, and so what happens to it next.

    ``INVALID`` is found here, before the row is sent; the others are read off Salesforce's answer.
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
class Row:
    """A record on its way to Salesforce.

    Args:
        m3ter_id: the record.
        values: one for each column of its ``Target``.
        cut: whether a text was cut to the length of its field.
    """

    m3ter_id: str
    values: list[Value]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Salesforce took the row. ``created`` tells a new Salesforce record from a changed one."""

    m3ter_id: str
    salesforce_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """The row did not go through.

    Args:
        m3ter_id: the record.
        error_class: what happens to it next.
        code: Salesforce's status code, or ours for an invalid row.
        message: the cause in words.
        fields: API names of the Salesforce fields that the answer names.
    """

    m3ter_id: str
    error_class: ErrorClass
    code: str
    message: str
    fields: tuple[str, ...] = ()


RowResult = Acknowledged | Rejected

NO_SUCH_RECORD = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
"""Salesforce's codes for a Salesforce Id whose record was deleted."""


class Count(StrEnum):
    """The six fates of a record that was read. They add up to the number read."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    REJECTED = "rejected"
    WAITING = "waiting"


class Counts(Counter[Count]):
    """How many records of one entity met which fate in one run."""

    @property
    def read(self) -> int:
        """Records read from m3ter that are in scope."""
        return self.total()

    @property
    def failed(self) -> int:
        """Records that are not in Salesforce as they are in m3ter."""
        return self[Count.INVALID] + self[Count.REJECTED] + self[Count.WAITING]

    def as_dict(self) -> dict[str, int]:
        """``read`` and the six fates, in the order in which people expect them."""
        return {"read": self.read} | {count.value: self[count] for count in Count}
