"""What a link of an account to a record of the CRM is, and how links are counted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Record = Mapping[str, object]
"""A decoded account."""


class LinkBy(StrEnum):
    """What says which record of the CRM an account belongs to."""

    EXTERNAL_MAPPING = "external_mapping"
    CUSTOM_FIELD = "custom_field"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class AccountLink:
    """The lookup of an account to a record of the CRM.

    Args:
        field: API name of the lookup on our object.
        object: API name of the object that it points to.
        by: what says which record.
        name: for ``CUSTOM_FIELD``, m3ter's custom field with the Salesforce Id; for ``CODE``, the
            field of the object that has the account's code.
    """

    field: str
    object: str = "Account"
    by: LinkBy = LinkBy.EXTERNAL_MAPPING
    name: str = ""

    @property
    def source(self) -> str:
        """What the lookup is filled from, in words."""
        words = {LinkBy.EXTERNAL_MAPPING: "external mapping", LinkBy.CODE: "account code"}
        return words.get(self.by, f"customFields.{self.name}")


class LinkOutcome(StrEnum):
    """Whether an account has a link.

    - ``MATCHED``: it belongs to one record.
    - ``NONE``: nothing says to which one.
    - ``AMBIGUOUS``: it belongs to several.
    - ``MALFORMED``: what is given is not the Id of such a record.
    """

    MATCHED = "matched"
    NONE = "none"
    AMBIGUOUS = "ambiguous"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Link:
    """Where an account is linked to; without an Id its lookup is empty."""

    outcome: LinkOutcome
    salesforce_id: str | None = None


NO_LINK = Link(LinkOutcome.NONE)
AMBIGUOUS = Link(LinkOutcome.AMBIGUOUS)
MALFORMED = Link(LinkOutcome.MALFORMED)


class LinkFinder(Protocol):
    """Finds the links of accounts.

    Attributes:
        by_code: whether ``prepare`` asks Salesforce. Then only accounts that have changed are
            looked up.
    """

    by_code: bool

    def prepare(self, records: Sequence[bytes]) -> None:
        """Look up these accounts together, if that needs requests; call it before ``find``."""
        ...

    def find(self, account: Record) -> Link:
        """The link of a decoded account.

        Raises:
            SyncError: what links depend on could not be read to the end.
        """
        ...

    def find_raw(self, raw: bytes) -> Link:
        """The link of an account's JSON text; as ``find``."""
        ...


class LinkOrg(Protocol):
    """Salesforce, where records are looked up by a field."""

    def find_ids(
        self, object_name: str, field: str, values: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """The Salesforce Ids of the records with these values, in few calls.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        ...


SHOWN = 5
"""Accounts without a link that are named for each reason."""


@dataclass(slots=True)
class LinkCounts:
    """The accounts of a run by outcome.

    Args:
        counts: how many accounts have each outcome.
        examples: what the first accounts without a link are called, by outcome.
    """

    counts: Counter[LinkOutcome] = field(default_factory=Counter)
    examples: dict[LinkOutcome, list[str]] = field(default_factory=dict)

    def add(self, outcome: LinkOutcome, name: Callable[[], str]) -> None:
        """Count an account.

        Args:
            outcome: of its link.
            name: returns what it is called.
        """
        self.counts[outcome] += 1
        if outcome is not LinkOutcome.MATCHED:
            examples = self.examples.setdefault(outcome, [])
            if len(examples) < SHOWN:
                examples.append(name())

    def update(self, other: "LinkCounts") -> None:
        """Add the accounts of a batch."""
        self.counts.update(other.counts)
        for outcome, names in other.examples.items():
            examples = self.examples.setdefault(outcome, [])
            examples.extend(names[: SHOWN - len(examples)])

    @property
    def without_link(self) -> int:
        """How many accounts have no link."""
        return self.counts.total() - self.counts[LinkOutcome.MATCHED]

    def as_dict(self) -> dict[str, int]:
        """The counts, in the documented order."""
        return {outcome.value: self.counts[outcome] for outcome in LinkOutcome}
