"""The m3ter records of the comparison: each list's records, made from their position in it.

Only texts with a comma, quotes or letters outside ASCII need care in a CSV file; some have them.
"""

from collections.abc import Callable
from dataclasses import dataclass

PAGE = 100
"""The most records of a page."""
MAPPINGS = "externalmappings"
"""The list of external mappings: of three accounts in five, each to an Account of its own."""
MAPPINGS_PAGE = 200
"""The most external mappings of a page."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of an organization, and which of their records have changed.

    Args:
        records: the number of records of each list.
        revision: each change raises it by one.
        changed_every: a change is one of every so many records.
    """

    records: int
    revision: int = 0
    changed_every: int = 100

    def page(self, name: str, begin: int, size: int) -> tuple[bytes, int]:
        """The JSON text of a page, and the number of its records.

        Args:
            name: the list: ``accounts``, ``contracts``, ``commitments``, ``balances`` or
                ``externalmappings``.
            begin: the position of its first record.
            size: the most records; never more than ``PAGE``, or ``MAPPINGS_PAGE``.
        """
        most = MAPPINGS_PAGE if name == MAPPINGS else PAGE
        count = self.records * 3 // 5 if name == MAPPINGS else self.records
        end = min(begin + min(size, most), count)
        record = _RECORDS[name]
        texts = [record(number, self._revision_of(number)) for number in range(begin, end)]
        token = f'"{end}"' if end < count else "null"
        return f'{{"data":[{",".join(texts)}],"nextToken":{token}}}'.encode(), len(texts)

    def _revision_of(self, number: int) -> int:
        return 0 if number % self.changed_every else self.revision


def record_id(name: str, number: int) -> str:
    """The id of a record by its position: a UUID that says nothing about the position."""
    mixed = (number + 1) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF
    last = f"{mixed:016x}"
    return f"{_PREFIXES[name]}-0000-4000-{last[:4]}-{last[4:]}"


def names() -> tuple[str, ...]:
    """The lists of entities, parents first."""
    return tuple(name for name in _RECORDS if name != MAPPINGS)


def _account(number: int, revision: int) -> str:
    name = f"Société {number}" if number % 7 else f'Müller, Söhne & \\"Co\\" {number}'
    return (
        f'{{"id":"{record_id("accounts", number)}","version":{revision + 1},'
        f'"name":"{name} r{revision}","code":"ACC-{number:07}",'
        f'"emailAddress":"billing+{number}@customer.example.com","parentAccountId":null,'
        f'"currency":"EUR","purchaseOrderNumber":"PO-{number * 7919 % 1_000_000:06}",'
        f'"daysBeforeBillDue":{number % 4 * 15},"billEpoch":"2025-{number % 12 + 1:02}-01",'
        f'"address":{{"addressLine1":"{number % 200 + 1} Market Street","addressLine2":"Level '
        f'{number % 30}","addressLine3":"Building {number % 9}, North","addressLine4":"Site A",'
        f'"locality":"Zürich","region":"ZH","postCode":"{8000 + number % 99}","country":"CH"}},'
        f'"statementDefinitionId":"{_STATEMENT}","autoGenerateStatementMode":"JSON",'
        f'"creditApplicationOrder":["PREPAYMENT","BALANCE"],{_audit(number, revision)}}}'
    )


def _contract(number: int, revision: int) -> str:
    return (
        f'{{"id":"{record_id("contracts", number)}","version":{revision + 1},'
        f'"accountId":"{record_id("accounts", number)}","name":"Contract {number} r{revision}",'
        f'"code":"CON-{number:07}","description":"Three years, with a discount from year two",'
        f'"purchaseOrderNumber":"PO-{number}","startDate":"2025-01-01","endDate":"2028-01-01",'
        f'"applyContractPeriodLimits":true,"usageFilters":[],{_audit(number, revision)}}}'
    )


def _commitment(number: int, revision: int) -> str:
    return (
        f'{{"id":"{record_id("commitments", number)}","version":{revision + 1},'
        f'{_parents(number)},"currency":"EUR","amount":{12_000 + number}.25,'
        f'"amountPrePaid":0,"amountFirstBill":100.5,"amountSpent":{number % 997 + revision}.125,'
        '"overageSurchargePercent":1.5,"separateOverageUsage":false,"startDate":"2025-01-01",'
        '"endDate":"2026-01-01","billEpoch":"2025-01-01","billingInterval":1,"billingOffset":0,'
        '"commitmentFeeDescription":"Fee","commitmentUsageDescription":"Usage, monthly",'
        '"overageDescription":"Overage","commitmentFeeBillInAdvance":true,"feeDates":[],'
        '"childBillingMode":"CHILD","lineItemTypes":["USAGE"],"productIds":[],'
        f"{_audit(number, revision)}}}"
    )


def _balance(number: int, revision: int) -> str:
    return (
        f'{{"id":"{record_id("balances", number)}","version":{revision + 1},{_parents(number)},'
        f'"name":"Onboarding credit {number} r{revision}","code":"BAL-{number:07}",'
        f'"description":"SLA, Q2 & Q3","amount":{5_000 + number % 1_000}.75,"currency":"EUR",'
        '"startDate":"2025-01-01T00:00:00Z","endDate":"2026-01-01T00:00:00Z",'
        '"rolloverAmount":0,"rolloverEndDate":"2026-04-01T00:00:00Z",'
        '"balanceDrawDownDescription":"Draw-down","overageSurchargePercent":0.5,'
        '"overageDescription":"Overage","productIds":[],"lineItemTypes":["USAGE"],'
        f'"allowOverdraft":false,{_audit(number, revision)}}}'
    )


def _mapping(number: int, _revision: int) -> str:
    return (
        f'{{"id":"{record_id(MAPPINGS, number)}","version":1,"m3terEntity":"Account",'
        f'"m3terId":"{record_id("accounts", number)}","externalSystem":"Salesforce",'
        f'"externalTable":"Account","externalId":"001{number:012}AAA",{_audit(number, 0)}}}'
    )


def _parents(number: int) -> str:
    return (
        f'"accountId":"{record_id("accounts", number)}",'
        f'"contractId":"{record_id("contracts", number)}"'
    )


def _audit(number: int, revision: int) -> str:
    return (
        f'"dtCreated":"2025-03-01T10:{number % 60:02}:00.000Z",'
        f'"dtLastModified":"2026-03-{revision % 28 + 1:02}T10:{number % 60:02}:00.000Z",'
        f'"createdBy":"{_USER}","lastModifiedBy":"{_USER}"'
    )


_USER = "0e4ff2a6-1111-4000-8000-00000000a001"
_STATEMENT = "0e4ff2a6-2222-4000-8000-00000000b001"
_PREFIXES = {
    "accounts": "ac000000",
    "contracts": "c0000000",
    "commitments": "c1000000",
    "balances": "ba000000",
    MAPPINGS: "e0000000",
}
_RECORDS: dict[str, Callable[[int, int], str]] = {
    "accounts": _account,
    "contracts": _contract,
    "commitments": _commitment,
    "balances": _balance,
    MAPPINGS: _mapping,
}
