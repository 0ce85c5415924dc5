"""The random values of sample records: amounts, dates, versions, missing fields."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from msgspec import Raw

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.organization.ids_and_times import random_uuid, utc_text

FIRST_CREATED = datetime(2022, 1, 3, 8, tzinfo=UTC)
"""When the first record of each type was created."""

ALWAYS_PRESENT = frozenset(
    {"id", "version", "dtCreated", "dtLastModified", "accountId", "customFields"}
)
"""The fields that every record has."""

_SPAN = timedelta(days=4 * 365)
_AMOUNTS = (
    "0", "1234567.12345678", "-250.5", "50000", "0.00000001", "9999999999.99", "12345.60",
    "-0.01", "1.5E+3", "1234567890.12345678", "0.1", "99.99",
)  # fmt: skip
_MAY_BE_EMPTY = frozenset(
    {
        "emailAddress", "purchaseOrderNumber", "description", "commitmentFeeDescription",
        "commitmentUsageDescription", "overageDescription", "balanceDrawDownDescription",
        "contactNumber",
    }
)  # fmt: skip


@dataclass
class Sample:
    """The random generator of an organization, and the ids that its records refer to.

    Args:
        rng: the random generator.
        sizes: the number of records of each type.
        users, accounts, products: their ids.
        contracts: the ids of the contracts that exist, each with its account's id.
    """

    rng: random.Random
    sizes: dict[str, int]
    users: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    contracts: list[tuple[str, str]] = field(default_factory=list)

    def new_id(self) -> str:
        """A new id."""
        return random_uuid(self.rng)

    def audit_fields(self, entity: str, index: int) -> JsonObject:
        """Version, times and authors; records of one type are in the order of their creation."""
        created = FIRST_CREATED + _SPAN * index / self.sizes[entity]
        version = self.rng.choice((1, 1, 1, 2, 3, 17))
        modified = created + timedelta(hours=version - 1, milliseconds=self.rng.randrange(3600_000))
        return {
            "version": version,
            "dtCreated": utc_text(created),
            "dtLastModified": utc_text(modified),
            "createdBy": self.rng.choice(self.users),
            "lastModifiedBy": self.rng.choice(self.users),
        }

    def remove_some(self, record: JsonObject, kept: frozenset[str]) -> JsonObject:
        """Removes some of the fields, or makes them null or empty, as m3ter may."""
        for name in [name for name in record if name not in kept]:
            chance = self.rng.random()
            if chance < 0.05:
                del record[name]
            elif chance < 0.09:
                record[name] = None
            elif chance < 0.12 and isinstance(record[name], str) and name in _MAY_BE_EMPTY:
                record[name] = ""
        return record


def amount(rng: random.Random, index: int, currency: str) -> Raw:
    """An amount as a JSON number; in JPY a whole number."""
    if currency == "JPY":
        return Raw(str(rng.randrange(-(10**4), 10**8)).encode())
    if index % 3 == 0:
        return Raw(_AMOUNTS[index // 3 % len(_AMOUNTS)].encode())
    return decimal_number(rng, rng.randrange(10**7), rng.randrange(1, 9))


def decimal_number(rng: random.Random, whole: int, places: int) -> Raw:
    """A JSON number with this whole part and this many random decimal places."""
    return Raw(f"{whole}.{rng.randrange(10**places):0{places}}".encode())


def period(rng: random.Random) -> tuple[date, date]:
    """A start date and an end date."""
    start = date(2022, 1, 1) + timedelta(days=rng.randrange(4 * 365))
    return start, start + timedelta(days=rng.choice((30, 365, 3 * 365)))
