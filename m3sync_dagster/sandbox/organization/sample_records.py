"""Sample records. The same seed and sizes always give the same organization."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from msgspec import Raw

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.organization import sample_text
from m3sync_dagster.sandbox.organization.ids_and_times import utc_text
from m3sync_dagster.sandbox.organization.sample_values import (
    ALWAYS_PRESENT,
    FIRST_CREATED,
    Sample,
    amount,
    decimal_number,
    period,
)

_LINE_ITEM_TYPES = (
    "STANDING_CHARGE",
    "USAGE",
    "MINIMUM_SPEND",
    "COUNTER_RUNNING_TOTAL_CHARGE",
)
_OFFSETS = ("Z", ".000Z", "+02:00", "-05:00", "+05:30", ".500+00:00")


def sample_records(rng: random.Random, sizes: dict[str, int]) -> Iterator[tuple[str, JsonObject]]:
    """Every record of an organization with its type, oldest first within each type.

    Args:
        rng: the random generator.
        sizes: the number of records of each type. Every type needs users, and every type but
            users needs accounts.
    """
    sample = Sample(rng, sizes)
    sample.users = [sample.new_id() for _ in range(sizes["users"])]
    sample.accounts = [sample.new_id() for _ in range(sizes["accounts"])]
    sample.products = [sample.new_id() for _ in range(5)]
    builders: dict[str, Callable[[Sample, int], JsonObject]] = {
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


def _user(sample: Sample, index: int) -> JsonObject:
    first, last = sample_text.USERS[index % len(sample_text.USERS)]
    record = {
        "id": sample.users[index],
        "firstName": first,
        "lastName": last,
        "email": f"user{index}@example.com",
        "contactNumber": f"+44 20 7946 {index:04}",
        "organizations": [],
        "supportUser": False,
        "firstAcceptedTermsAndConditions": utc_text(FIRST_CREATED),
        "dtEndAccess": "2030-01-01T00:00:00Z" if index % 5 == 4 else None,
    }
    return record | sample.audit_fields("users", index)


def _account(sample: Sample, index: int) -> JsonObject:
    rng = sample.rng
    record = {
        "id": sample.accounts[index],
        "name": _company(rng, index),
        "code": f"ACC-{index:05}" if index % 9 else f'Über/{index}: "ß" & co',
        "emailAddress": f"billing+{index}@customer{index}.example.com",
        "parentAccountId": _parent(sample, index),
        "currency": rng.choice(sample_text.CURRENCIES),
        "purchaseOrderNumber": f"PO-{rng.randrange(10**6):06}",
        "daysBeforeBillDue": rng.choice((0, 14, 30, 90)),
        "billEpoch": period(rng)[0].isoformat(),
        "address": rng.choice(sample_text.ADDRESSES),
        "statementDefinitionId": sample.new_id(),
        "autoGenerateStatementMode": rng.choice(("NONE", "JSON", "JSON_AND_CSV")),
        "creditApplicationOrder": rng.choice(([], ["BALANCE"], ["PREPAYMENT", "BALANCE"])),
        "customFields": _custom_fields(rng, index),
        **sample.audit_fields("accounts", index),
    }
    return sample.remove_some(record, ALWAYS_PRESENT | {"name", "code", "parentAccountId"})


def _company(rng: random.Random, index: int) -> str:
    if index < len(sample_text.ACCOUNT_NAMES):
        return sample_text.ACCOUNT_NAMES[index]
    words = (sample_text.FIRST_WORDS, sample_text.SECOND_WORDS, sample_text.COMPANY_FORMS)
    return " ".join(rng.choice(choice) for choice in words)


def _parent(sample: Sample, index: int) -> str | None:
    """Eight accounts form a hierarchy of three levels; one child is older than its parent."""
    parent = {1: index - 1, 2: index - 1, 5: index - 4, 6: index + 1}.get(index % 8, -1)
    return sample.accounts[parent] if 0 <= parent < len(sample.accounts) else None


def _custom_fields(rng: random.Random, index: int) -> JsonObject | None:
    if index % 10 == 7:
        return rng.choice(({}, None))
    if index % 50 == 20:
        return {f"field_{number:03}": f"value {number}" for number in range(100)}
    return {
        "tier": rng.choice(("gold", "silver", "Bronze, old", "🥇", "")),
        "region": rng.choice(("EMEA", "APAC", "Amériques", "=NA")),
        "seats": rng.randrange(1, 5000),
        "credit_score": decimal_number(rng, rng.randrange(300, 850), 2),
    }


def _contract(sample: Sample, index: int) -> JsonObject:
    rng = sample.rng
    contract_id, account_id = sample.new_id(), rng.choice(sample.accounts)
    sample.contracts.append((contract_id, account_id))
    start, end = period(rng)
    record = {
        "id": contract_id,
        "accountId": account_id,
        "name": rng.choice(("Enterprise, 3 years", "Vertrag „Süd“", "契約 2025", "Pilot <1>")),
        "code": f"CON-{index:05}",
        "description": rng.choice(sample_text.DESCRIPTIONS),
        "purchaseOrderNumber": f"PO {rng.randrange(10**6)}",
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "applyContractPeriodLimits": rng.random() < 0.5,
        "usageFilters": _usage_filters(rng),
        "billGroupingKeyId": sample.new_id(),
        "customFields": _custom_fields(rng, index),
        **sample.audit_fields("contracts", index),
    }
    return sample.remove_some(record, ALWAYS_PRESENT)


def _usage_filters(rng: random.Random) -> list[JsonObject]:
    value = rng.choice(("eu-west-1", 'a "quoted", value', "日本"))
    included = {"dimensionCode": "region", "mode": "INCLUDE", "value": value}
    excluded = {"dimensionCode": "tier", "mode": "EXCLUDE", "value": "free"}
    return [included, excluded][: rng.randrange(3)]


def _commitment(sample: Sample, index: int) -> JsonObject:
    rng = sample.rng
    start, end = period(rng)
    currency = rng.choice(sample_text.CURRENCIES)
    record = {
        "id": sample.new_id(),
        **_account_and_contract(sample, index),
        "currency": currency,
        "amount": amount(rng, index, currency),
        "amountPrePaid": amount(rng, index + 5, currency),
        "amountFirstBill": decimal_number(rng, rng.randrange(10**4), 2),
        "amountSpent": decimal_number(rng, rng.randrange(10**6), 8),
        "overageSurchargePercent": decimal_number(rng, rng.randrange(50), 1),
        "separateOverageUsage": rng.random() < 0.5,
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "billEpoch": start.isoformat(),
        "billingInterval": rng.choice((1, 3, 12)),
        "billingOffset": 0,
        "billingPlanId": sample.new_id(),
        "commitmentFeeDescription": rng.choice(sample_text.DESCRIPTIONS),
        "commitmentUsageDescription": rng.choice(sample_text.DESCRIPTIONS),
        "overageDescription": rng.choice(sample_text.DESCRIPTIONS),
        "commitmentFeeBillInAdvance": rng.random() < 0.5,
        "feeDates": _fee_dates(rng, start),
        "childBillingMode": rng.choice(("PARENT_SUMMARY", "PARENT_BREAKDOWN", "CHILD")),
        **_draw_down_fields(sample),
        "accountingProductId": rng.choice(sample.products),
        "feesAccountingProductId": rng.choice(sample.products),
        "drawdownsAccountingProductId": rng.choice(sample.products),
        **sample.audit_fields("commitments", index),
    }
    return sample.remove_some(record, ALWAYS_PRESENT)


def _balance(sample: Sample, index: int) -> JsonObject:
    rng = sample.rng
    start, end = period(rng)
    currency = rng.choice(sample_text.CURRENCIES)
    record = {
        "id": sample.new_id(),
        **_account_and_contract(sample, index),
        "name": rng.choice(
            ("Onboarding credit", "Guthaben „Q1“", "プリペイド残高", "SLA, Q2 & Q3")
        ),
        "code": f"BAL-{index:05}",
        "description": rng.choice(sample_text.DESCRIPTIONS),
        "amount": amount(rng, index, currency),
        "currency": currency,
        "startDate": f"{start}T00:00:00{_OFFSETS[index % len(_OFFSETS)]}",
        "endDate": f"{end}T23:59:59{_OFFSETS[(index + 1) % len(_OFFSETS)]}",
        "rolloverAmount": decimal_number(rng, rng.randrange(10**5), 4),
        "rolloverEndDate": f"{end + timedelta(days=90)}T00:00:00Z",
        "balanceDrawDownDescription": rng.choice(sample_text.DESCRIPTIONS),
        "overageSurchargePercent": decimal_number(rng, rng.randrange(100), 3),
        "overageDescription": rng.choice(sample_text.DESCRIPTIONS),
        **_draw_down_fields(sample),
        "consumptionsAccountingProductId": rng.choice(sample.products),
        "feesAccountingProductId": rng.choice(sample.products),
        "allowOverdraft": rng.random() < 0.3,
        "customFields": _custom_fields(rng, index),
        **sample.audit_fields("balances", index),
    }
    return sample.remove_some(record, ALWAYS_PRESENT | {"name", "code"})


def _bill(sample: Sample, index: int) -> JsonObject:
    """A monthly bill: of three, one is pending, one approved, and one approved and locked."""
    rng = sample.rng
    start, currency = date(2024, 1 + index % 12, 1), rng.choice(sample_text.CURRENCIES)
    end = (start + timedelta(days=31)).replace(day=1)
    approved, locked = index % 3 > 0, index % 3 > 1
    audit = sample.audit_fields("bills", index)
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
        "createdDate": audit["dtCreated"],
        "lastCalculatedDate": audit["dtLastModified"],
        "lineItems": [_line_item(sample, currency) for _ in range(rng.randrange(4))],
        "purchaseOrderNumber": f"PO-{rng.randrange(10**6):06}",
        "externalInvoiceReference": f"XERO-{index}" if approved else None,
        "externalInvoiceDate": end.isoformat(),
        "jsonStatementGenerated": locked,
        "csvStatementGenerated": False,
        "statementStale": False,
        "billTotal": amount(rng, index, currency),
        "sequentialInvoiceNumber": f"INV-{index:06}" if approved else None,
        "dtApproved": audit["dtLastModified"] if approved else None,
        "approvedBy": audit["lastModifiedBy"] if approved else None,
        "dtLocked": audit["dtLastModified"] if locked else None,
        "lockedBy": audit["lastModifiedBy"] if locked else None,
        **audit,
    }
    return sample.remove_some(
        record, ALWAYS_PRESENT | {"status", "locked", "lineItems", "billTotal"}
    )


def _line_item(sample: Sample, currency: str) -> JsonObject:
    units = sample.rng.randrange(1, 100)
    subtotal = decimal_number(sample.rng, sample.rng.randrange(10**4), 2)
    return {
        "id": sample.new_id(),
        "lineItemType": sample.rng.choice(_LINE_ITEM_TYPES),
        "description": sample.rng.choice(sample_text.DESCRIPTIONS),
        "currency": currency,
        "conversionRate": 1,
        "quantity": units,
        "unit": "1",
        "units": units,
        "averageUnitPrice": Raw(b"0.05"),
        "subtotal": subtotal,
        "convertedSubtotal": subtotal,
    }


def _account_and_contract(sample: Sample, index: int) -> JsonObject:
    """The account and, in two cases of three, one of its contracts."""
    if not sample.contracts or index % 3 == 2:
        return {"accountId": sample.rng.choice(sample.accounts)}
    contract_id, account_id = sample.rng.choice(sample.contracts)
    return {"accountId": account_id, "contractId": contract_id}


def _draw_down_fields(sample: Sample) -> JsonObject:
    return {
        "productIds": sample.products[: sample.rng.randrange(4)],
        "lineItemTypes": list(_LINE_ITEM_TYPES[: sample.rng.randrange(5)]),
    }


def _fee_dates(rng: random.Random, start: date) -> list[JsonObject]:
    """Up to three yearly fees."""
    return [
        {
            "date": (start + timedelta(days=365 * year)).isoformat(),
            "amount": decimal_number(rng, rng.randrange(10**5), 2),
            "servicePeriodStartDate": f"{start + timedelta(days=365 * year)}T00:00:00Z",
            "servicePeriodEndDate": f"{start + timedelta(days=365 * (year + 1))}T00:00:00Z",
        }
        for year in range(rng.randrange(4))
    ]
