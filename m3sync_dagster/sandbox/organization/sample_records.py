"""Sample records: seeded, so that the same seed and sizes always give the same organization."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Raw

from m3sync_dagster.sandbox.organization import sample_text as texts

Record = dict[str, Any]

_FIRST = datetime(2022, 1, 3, 8, tzinfo=UTC)
_SPAN = timedelta(days=4 * 365)

_AMOUNTS = (
    "0", "1234567.12345678", "-250.5", "50000", "0.00000001", "9999999999.99", "12345.60",
    "-0.01", "1.5E+3", "1234567890.12345678", "0.1", "99.99",
)  # fmt: skip
_LINE_ITEMS = ("STANDING_CHARGE", "USAGE", "MINIMUM_SPEND", "COUNTER_RUNNING_TOTAL_CHARGE")
_OFFSETS = ("Z", ".000Z", "+02:00", "-05:00", "+05:30", ".500+00:00")


@dataclass
class _Sample:
    """What the records of one organization draw from and refer to."""

    rng: random.Random
    sizes: dict[str, int]
    users: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    contracts: list[tuple[str, str]] = field(default_factory=list)
    """Ids of the contracts that there are, each with its account's."""

    def new_id(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def stamps(self, entity: str, index: int) -> Record:
        """Version, times and authors; the records of a type follow each other in time."""
        created = _FIRST + _SPAN * index / self.sizes[entity]
        version = self.rng.choice((1, 1, 1, 2, 3, 17))
        modified = created + timedelta(hours=version - 1, milliseconds=self.rng.randrange(3600_000))
        return {
            "version": version,
            "dtCreated": _utc(created),
            "dtLastModified": _utc(modified),
            "createdBy": self.rng.choice(self.users),
            "lastModifiedBy": self.rng.choice(self.users),
        }

    def thin(self, record: Record, needed: frozenset[str]) -> Record:
        """Leaves some of the fields out, or without a value, as m3ter may."""
        for name in [name for name in record if name not in needed]:
            chance = self.rng.random()
            if chance < 0.05:
                del record[name]
            elif chance < 0.09:
                record[name] = None
            elif chance < 0.12 and isinstance(record[name], str) and name in _MAY_BE_EMPTY:
                record[name] = ""
        return record


_ALWAYS = frozenset({"id", "version", "dtCreated", "dtLastModified", "accountId", "customFields"})
_MAY_BE_EMPTY = frozenset(
    {
        "emailAddress", "purchaseOrderNumber", "description", "commitmentFeeDescription",
        "commitmentUsageDescription", "overageDescription", "balanceDrawDownDescription",
        "contactNumber",
    }
)  # fmt: skip


def sample_records(rng: random.Random, sizes: dict[str, int]) -> Iterator[tuple[str, Record]]:
    """Every record of an organization with its type, oldest first within a type.

    Args:
        rng: where everything that varies comes from.
        sizes: how many records of each type; each type that has records needs users, and
            all others need accounts.
    """
    sample = _Sample(rng, sizes)
    sample.users = [sample.new_id() for _ in range(sizes["users"])]
    sample.accounts = [sample.new_id() for _ in range(sizes["accounts"])]
    sample.products = [sample.new_id() for _ in range(5)]
    builders: dict[str, Callable[[_Sample, int], Record]] = {
        "users": _user,
        "accounts": _account,
        "contracts": _contract,
        "commitments": _commitment,
        "balances": _balance,
        "bills": _bill,
    }
    for entity, build in builders.items():
        for index in range(sizes[entity]):
            yield entity, build(sample, index)


def _user(sample: _Sample, index: int) -> Record:
    first, last = texts.USERS[index % len(texts.USERS)]
    record = {
        "id": sample.users[index],
        "firstName": first,
        "lastName": last,
        "email": f"user{index}@example.com",
        "contactNumber": f"+44 20 7946 {index:04}",
        "organizations": [],
        "supportUser": False,
        "firstAcceptedTermsAndConditions": _utc(_FIRST),
        "dtEndAccess": "2030-01-01T00:00:00Z" if index % 5 == 4 else None,
    }
    return record | sample.stamps("users", index)


def _account(sample: _Sample, index: int) -> Record:
    rng = sample.rng
    record = {
        "id": sample.accounts[index],
        "name": _company(rng, index),
        "code": f"ACC-{index:05}" if index % 9 else f'Über/{index}: "ß" & co',
        "emailAddress": f"billing+{index}@customer{index}.example.com",
        "parentAccountId": _parent(sample, index),
        "currency": rng.choice(texts.CURRENCIES),
        "purchaseOrderNumber": f"PO-{rng.randrange(10**6):06}",
        "daysBeforeBillDue": rng.choice((0, 14, 30, 90)),
        "billEpoch": _day(rng),
        "address": rng.choice(texts.ADDRESSES),
        "statementDefinitionId": sample.new_id(),
        "autoGenerateStatementMode": rng.choice(("NONE", "JSON", "JSON_AND_CSV")),
        "creditApplicationOrder": rng.choice(([], ["BALANCE"], ["PREPAYMENT", "BALANCE"])),
        "customFields": _custom_fields(rng, index),
        **sample.stamps("accounts", index),
    }
    return sample.thin(record, _ALWAYS | {"name", "code", "parentAccountId"})


def _company(rng: random.Random, index: int) -> str:
    if index < len(texts.ACCOUNT_NAMES):
        return texts.ACCOUNT_NAMES[index]
    words = (texts.FIRST_WORDS, texts.SECOND_WORDS, texts.COMPANY_FORMS)
    return " ".join(rng.choice(choice) for choice in words)


def _parent(sample: _Sample, index: int) -> str | None:
    """Groups of eight make families of three levels, one child being older than its parent."""
    parent = {1: index - 1, 2: index - 1, 5: index - 4, 6: index + 1}.get(index % 8, -1)
    return sample.accounts[parent] if 0 <= parent < len(sample.accounts) else None


def _custom_fields(rng: random.Random, index: int) -> Record | None:
    if index % 10 == 7:
        return rng.choice(({}, None))
    if index % 50 == 20:
        return {f"field_{number:03}": f"value {number}" for number in range(100)}
    return {
        "tier": rng.choice(("gold", "silver", "Bronze, old", "🥇", "")),
        "region": rng.choice(("EMEA", "APAC", "Amériques", "=NA")),
        "seats": rng.randrange(1, 5000),
        "credit_score": Raw(_decimal(rng, rng.randrange(300, 850), 2).encode()),
    }


def _contract(sample: _Sample, index: int) -> Record:
    rng = sample.rng
    contract_id, account_id = sample.new_id(), rng.choice(sample.accounts)
    sample.contracts.append((contract_id, account_id))
    start, end = _period(rng)
    record = {
        "id": contract_id,
        "accountId": account_id,
        "name": rng.choice(("Enterprise, 3 years", "Vertrag „Süd“", "契約 2025", "Pilot <1>")),
        "code": f"CON-{index:05}",
        "description": rng.choice(texts.DESCRIPTIONS),
        "purchaseOrderNumber": f"PO {rng.randrange(10**6)}",
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "applyContractPeriodLimits": rng.random() < 0.5,
        "usageFilters": _usage_filters(rng),
        "billGroupingKeyId": sample.new_id(),
        "customFields": _custom_fields(rng, index),
        **sample.stamps("contracts", index),
    }
    return sample.thin(record, _ALWAYS)


def _usage_filters(rng: random.Random) -> list[Record]:
    value = rng.choice(("eu-west-1", 'a "quoted", value', "日本"))
    included = {"dimensionCode": "region", "mode": "INCLUDE", "value": value}
    excluded = {"dimensionCode": "tier", "mode": "EXCLUDE", "value": "free"}
    return [included, excluded][: rng.randrange(3)]


def _commitment(sample: _Sample, index: int) -> Record:
    rng = sample.rng
    start, end = _period(rng)
    currency = rng.choice(texts.CURRENCIES)
    record = {
        "id": sample.new_id(),
        **_owner(sample, index),
        "currency": currency,
        "amount": _amount(rng, index, currency),
        "amountPrePaid": _amount(rng, index + 5, currency),
        "amountFirstBill": Raw(_decimal(rng, rng.randrange(10**4), 2).encode()),
        "amountSpent": Raw(_decimal(rng, rng.randrange(10**6), 8).encode()),
        "overageSurchargePercent": Raw(_decimal(rng, rng.randrange(50), 1).encode()),
        "separateOverageUsage": rng.random() < 0.5,
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "billEpoch": start.isoformat(),
        "billingInterval": rng.choice((1, 3, 12)),
        "billingOffset": 0,
        "billingPlanId": sample.new_id(),
        "commitmentFeeDescription": rng.choice(texts.DESCRIPTIONS),
        "commitmentUsageDescription": rng.choice(texts.DESCRIPTIONS),
        "overageDescription": rng.choice(texts.DESCRIPTIONS),
        "commitmentFeeBillInAdvance": rng.random() < 0.5,
        "feeDates": _fee_dates(rng, start),
        "childBillingMode": rng.choice(("PARENT_SUMMARY", "PARENT_BREAKDOWN", "CHILD")),
        **_draws_down(sample),
        "accountingProductId": rng.choice(sample.products),
        "feesAccountingProductId": rng.choice(sample.products),
        "drawdownsAccountingProductId": rng.choice(sample.products),
        **sample.stamps("commitments", index),
    }
    return sample.thin(record, _ALWAYS)


def _balance(sample: _Sample, index: int) -> Record:
    rng = sample.rng
    start, end = _period(rng)
    currency = rng.choice(texts.CURRENCIES)
    record = {
        "id": sample.new_id(),
        **_owner(sample, index),
        "name": rng.choice(
            ("Onboarding credit", "Guthaben „Q1“", "プリペイド残高", "SLA, Q2 & Q3")
        ),
        "code": f"BAL-{index:05}",
        "description": rng.choice(texts.DESCRIPTIONS),
        "amount": _amount(rng, index, currency),
        "currency": currency,
        "startDate": f"{start}T00:00:00{_OFFSETS[index % len(_OFFSETS)]}",
        "endDate": f"{end}T23:59:59{_OFFSETS[(index + 1) % len(_OFFSETS)]}",
        "rolloverAmount": Raw(_decimal(rng, rng.randrange(10**5), 4).encode()),
        "rolloverEndDate": f"{end + timedelta(days=90)}T00:00:00Z",
        "balanceDrawDownDescription": rng.choice(texts.DESCRIPTIONS),
        "overageSurchargePercent": Raw(_decimal(rng, rng.randrange(100), 3).encode()),
        "overageDescription": rng.choice(texts.DESCRIPTIONS),
        **_draws_down(sample),
        "consumptionsAccountingProductId": rng.choice(sample.products),
        "feesAccountingProductId": rng.choice(sample.products),
        "allowOverdraft": rng.random() < 0.3,
        "customFields": _custom_fields(rng, index),
        **sample.stamps("balances", index),
    }
    return sample.thin(record, _ALWAYS | {"name", "code"})


def _bill(sample: _Sample, index: int) -> Record:
    """A month's bill: of three, one is pending, one approved, and one approved and locked."""
    rng = sample.rng
    start, currency = date(2024, 1 + index % 12, 1), rng.choice(texts.CURRENCIES)
    end = (start + timedelta(days=31)).replace(day=1)
    approved, locked = index % 3 > 0, index % 3 > 1
    stamps = sample.stamps("bills", index)
    record = {
        "id": sample.new_id(),
        "accountId": rng.choice(sample.accounts),
        "accountCode": f"ACC-{index:05}",
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "startDateTimeUTC": f"{start}T00:00:00Z",
        "endDateTimeUTC": f"{end}T00:00:00Z",
        "billDate": end.isoformat(),
        "dueDate": (end + timedelta(days=30)).isoformat(),
        "billingFrequency": rng.choice(("MONTHLY", "ANNUALLY", "AD_HOC")),
        "billFrequencyInterval": 1,
        "timezone": rng.choice(("UTC", "Europe/Berlin")),
        "currency": currency,
        "currencyConversions": [{"from": "USD", "to": currency, "multiplier": Raw(b"1.12")}],
        "status": "APPROVED" if approved else "PENDING",
        "locked": locked,
        "billJobId": sample.new_id(),
        "createdDate": stamps["dtCreated"],
        "lastCalculatedDate": stamps["dtLastModified"],
        "lineItems": [_line_item(sample, currency) for _ in range(rng.randrange(4))],
        "purchaseOrderNumber": f"PO-{rng.randrange(10**6):06}",
        "externalInvoiceReference": f"XERO-{index}" if approved else None,
        "externalInvoiceDate": end.isoformat(),
        "jsonStatementGenerated": locked,
        "csvStatementGenerated": False,
        "statementStale": False,
        "billTotal": _amount(rng, index, currency),
        "sequentialInvoiceNumber": f"INV-{index:06}" if approved else None,
        "dtApproved": stamps["dtLastModified"] if approved else None,
        "approvedBy": stamps["lastModifiedBy"] if approved else None,
        "dtLocked": stamps["dtLastModified"] if locked else None,
        "lockedBy": stamps["lastModifiedBy"] if locked else None,
        **stamps,
    }
    return sample.thin(record, _ALWAYS | {"status", "locked", "lineItems", "billTotal"})


def _line_item(sample: _Sample, currency: str) -> Record:
    units = sample.rng.randrange(1, 100)
    subtotal = Raw(_decimal(sample.rng, sample.rng.randrange(10**4), 2).encode())
    return {
        "id": sample.new_id(),
        "lineItemType": sample.rng.choice(_LINE_ITEMS),
        "description": sample.rng.choice(texts.DESCRIPTIONS),
        "currency": currency,
        "conversionRate": 1,
        "quantity": units,
        "unit": "1",
        "units": units,
        "averageUnitPrice": Raw(b"0.05"),
        "subtotal": subtotal,
        "convertedSubtotal": subtotal,
    }


def _owner(sample: _Sample, index: int) -> Record:
    """The account, and in two cases of three one of its contracts."""
    if not sample.contracts or index % 3 == 2:
        return {"accountId": sample.rng.choice(sample.accounts)}
    contract_id, account_id = sample.rng.choice(sample.contracts)
    return {"accountId": account_id, "contractId": contract_id}


def _draws_down(sample: _Sample) -> Record:
    return {
        "productIds": sample.products[: sample.rng.randrange(4)],
        "lineItemTypes": list(_LINE_ITEMS[: sample.rng.randrange(5)]),
    }


def _fee_dates(rng: random.Random, start: date) -> list[Record]:
    """Up to three fees in a yearly schedule."""
    return [
        {
            "date": (start + timedelta(days=365 * year)).isoformat(),
            "amount": Raw(_decimal(rng, rng.randrange(10**5), 2).encode()),
            "servicePeriodStartDate": f"{start + timedelta(days=365 * year)}T00:00:00Z",
            "servicePeriodEndDate": f"{start + timedelta(days=365 * (year + 1))}T00:00:00Z",
        }
        for year in range(rng.randrange(4))
    ]


def _amount(rng: random.Random, index: int, currency: str) -> Raw:
    """A JSON number; yen have no fractions."""
    if currency == "JPY":
        return Raw(str(rng.randrange(-(10**4), 10**8)).encode())
    if index % 3 == 0:
        return Raw(_AMOUNTS[index // 3 % len(_AMOUNTS)].encode())
    return Raw(_decimal(rng, rng.randrange(10**7), rng.randrange(1, 9)).encode())


def _decimal(rng: random.Random, whole: int, places: int) -> str:
    return f"{whole}.{rng.randrange(10**places):0{places}}"


def _period(rng: random.Random) -> tuple[date, date]:
    start = date(2022, 1, 1) + timedelta(days=rng.randrange(4 * 365))
    return start, start + timedelta(days=rng.choice((30, 365, 3 * 365)))


def _day(rng: random.Random) -> str:
    return _period(rng)[0].isoformat()


def _utc(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as m3ter writes its own times."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
