"""What Salesforce has to hold: a small mapping of its own, written from ``docs/fields.md``.

It covers a handful of fields of four record types, and shares no code with the product.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Record = Mapping[str, Any]
"""A record as m3ter lists it, or as Salesforce holds it."""

FIRST_KEY, SECOND_KEY = "m3ter_Id__c", "Second_Id__c"
"""The external ID field of every object, and another one that accounts have as well."""
ACCOUNT, CONTRACT = "m3ter_Account__c", "m3ter_Contract__c"
COMMITMENT, BALANCE = "m3ter_Commitment__c", "m3ter_Balance__c"
OTHER_BALANCE = "Other_Balance__c"
"""Another object with all the fields of ``m3ter_Balance__c``."""
ENTITIES = ("account", "contract", "commitment", "balance")
"""Parents before their children."""
LONGEST_CURRENCY = 40
MOST = Decimal(10) ** 12
"""An amount has 12 digits before the decimal point."""


@dataclass(frozen=True)
class Settings:
    """What the integration's YAML says, and where its credentials lead to.

    Args:
        org, m3ter: 0 or 1: which of the two orgs of Salesforce and organizations of m3ter.
        code: whether the code of accounts is carried.
        tier: the custom field ``tier`` of accounts goes to ``Email_Address__c``.
        order: a constant for ``Purchase_Order_Number__c`` of accounts.
        allowed, restricted: account ids.
        second_key: accounts go by ``SECOND_KEY``.
        other_balance: balances go to ``OTHER_BALANCE``.
    """

    org: int = 0
    m3ter: int = 0
    code: bool = True
    tier: bool = False
    order: str | None = None
    allowed: frozenset[str] = frozenset()
    restricted: frozenset[str] = frozenset()
    second_key: bool = False
    other_balance: bool = False

    def object(self, entity: str) -> str:
        """The Salesforce object of an entity."""
        if entity == "balance" and self.other_balance:
            return OTHER_BALANCE
        return f"m3ter_{entity.title()}__c"

    def key(self, entity: str) -> str:
        """The external ID field of an entity."""
        return SECOND_KEY if entity == "account" and self.second_key else FIRST_KEY

    def admits(self, account_id: str | None) -> bool:
        """Whether the records of an account are carried."""
        if account_id in self.restricted:
            return False
        return not self.allowed or account_id in self.allowed

    def in_scope(self, entity: str, record: Record) -> bool:
        """Whether a record is carried."""
        return self.admits(record["id" if entity == "account" else "accountId"])


def expected(settings: Settings, entity: str, record: Record) -> dict[str, Any] | None:
    """The values that Salesforce has to hold; lookups as m3ter ids. ``None``: it is invalid."""
    if len(record.get("currency") or "") > LONGEST_CURRENCY:
        return None
    if abs(record.get("amount") or 0) >= MOST:
        return None
    return {
        "account": _account,
        "contract": _contract,
        "commitment": _commitment,
        "balance": _balance,
    }[entity](settings, record)


def _account(settings: Settings, record: Record) -> dict[str, Any]:
    parent = record.get("parentAccountId")
    values = {
        "Name": _title(record),
        "Account_Name__c": _text(record, "name"),
        "Currency__c": _text(record, "currency"),
        "Days_Before_Bill_Due__c": record.get("daysBeforeBillDue"),
        "Parent_Account__c": parent if parent and settings.admits(parent) else None,
    }
    if settings.code:
        values["Code__c"] = _text(record, "code")
    if settings.tier:
        values["Email_Address__c"] = _text(record.get("customFields") or {}, "tier")
    if settings.order is not None:
        values["Purchase_Order_Number__c"] = settings.order
    return values


def _contract(_: Settings, record: Record) -> dict[str, Any]:
    return {
        "Name": _title(record),
        ACCOUNT: record["accountId"],
        "Contract_Name__c": _text(record, "name"),
        "Start_Date__c": record.get("startDate"),
        "Apply_Contract_Period_Limits__c": bool(record.get("applyContractPeriodLimits")),
    }


def _commitment(_: Settings, record: Record) -> dict[str, Any]:
    return {
        ACCOUNT: record["accountId"],
        CONTRACT: record.get("contractId"),
        "Currency__c": _text(record, "currency"),
        "Amount__c": record.get("amount"),
        "Separate_Overage_Usage__c": bool(record.get("separateOverageUsage")),
    }


def _balance(_: Settings, record: Record) -> dict[str, Any]:
    return {
        "Name": _title(record),
        ACCOUNT: record["accountId"],
        CONTRACT: record.get("contractId"),
        "Balance_Name__c": _text(record, "name"),
        "Currency__c": _text(record, "currency"),
        "Amount__c": record.get("amount"),
        "Start_Date__c": _moment(record.get("startDate")),
    }


def _title(record: Record) -> str:
    found = (record.get(name) for name in ("name", "code", "id"))
    return str(next(text for text in found if text))[:80]


def _text(record: Record, name: str) -> str | None:
    return record.get(name) or None


def _moment(text: str | None) -> str | None:
    """A date-time as the sandbox shows it: in UTC, to the second."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def yaml(settings: Settings) -> str:
    """The integration ``acme`` with these settings."""
    account: list[str] = []
    fields: dict[str, str] = {}
    if not settings.code:
        fields["code"] = "null"
    if settings.tier:
        fields["emailAddress"] = "null"
        account.append("custom_field_mappings: {tier: Email_Address__c}")
    if settings.order is not None:
        fields["purchaseOrderNumber"] = "null"
        account.append(f"constants: {{Purchase_Order_Number__c: {settings.order}}}")
    if settings.second_key:
        account.append(f"external_id_field: {SECOND_KEY}")
    if fields:
        account.append(f"fields: {{{', '.join(f'{k}: {v}' for k, v in fields.items())}}}")
    balance = [f"object: {OTHER_BALANCE}"] if settings.other_balance else []
    return _YAML.format(
        allowed=", ".join(sorted(settings.allowed)),
        restricted=", ".join(sorted(settings.restricted)),
        account=_block(account),
        balance=_block(balance),
    )


def _block(lines: list[str]) -> str:
    return "".join(f"\n      {line}" for line in lines) or " {}"


_YAML = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
  namespace: custom_objects
  account_ids: [{allowed}]
  restricted_account_ids: [{restricted}]
  entities:
    account:{account}
    contract: {{}}
    commitment: {{}}
    balance:{balance}
"""
