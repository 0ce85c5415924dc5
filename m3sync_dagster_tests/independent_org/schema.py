"""Objects and fields of the orgs, a line each: API name, type, label.

m3ter does not publish its package's names. One package here uses the names of m3ter's Console, the
other those of its API. ``{p}`` is replaced by the package's namespace.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Field:
    """A field: ``kind`` is describe's type; ``size`` characters, or digits before and after."""

    name: str
    kind: str
    label: str
    size: tuple[int, ...] = ()
    target: str = ""
    key: bool = False
    required: bool = False
    locked: bool = False
    choices: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """The field in a describe, with only some of the documented properties."""
        properties: dict[str, Any] = {"name": self.name, "type": self.kind, "label": self.label}
        properties |= {"nillable": not self.required, "defaultedOnCreate": False}
        if self.kind in {"string", "textarea", "email"}:
            properties["length"] = self.size[0]
        if self.kind == "double":
            properties |= {"precision": sum(self.size), "scale": self.size[1]}
        if self.key:
            properties |= {"externalId": True, "unique": True, "caseSensitive": True}
        if self.locked:
            properties |= {"createable": False, "updateable": False}
        if self.target:
            properties["referenceTo"] = [self.target]
            if self.name.endswith("Id"):
                properties["relationshipName"] = self.name.removesuffix("Id")
        if self.choices:
            properties["restrictedPicklist"] = True
            properties["picklistValues"] = [{"value": one, "active": True} for one in self.choices]
        return properties


@dataclass
class Object:
    """An object, its fields by API name, and its records by Salesforce id."""

    name: str
    label: str
    fields: dict[str, Field] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def field_of(line: str) -> Field:
    """Read a line such as ``Amount__c double(12,6) Amount``; ``!``: required, ``-``: read-only."""
    name, kind, label = line.split(maxsplit=2)
    found = Field(name.rstrip("!-"), kind.split("(")[0], label)
    found.required, found.locked = name.endswith("!"), name.endswith("-")
    inside = kind.partition("(")[2].rstrip(")")
    if found.kind == "key":
        found.kind, found.size, found.key = "string", (36,), True
    elif found.kind == "reference":
        found.target = inside
    elif found.kind == "picklist":
        found.choices = tuple(inside.split(",")) if inside else ()
    elif inside:
        found.size = tuple(map(int, inside.split(",")))
    return found


def objects_of(text: str, prefix: str = "") -> dict[str, Object]:
    """Read objects: one line for each, followed by indented lines for its fields."""
    found: dict[str, Object] = {}
    last = Object("", "")
    for line in text.replace("{p}", prefix).splitlines():
        if line.startswith(" "):
            one = field_of(line)
            last.fields[one.name] = one
        elif line:
            name, label = line.split(maxsplit=1)
            last = found[name] = Object(name, label)
            last.fields["Id"] = Field("Id", "id", "Record ID", locked=True)
            for stamp in ("Created Date", "Last Modified Date"):
                stamped = stamp.replace(" ", "")
                last.fields[stamped] = Field(stamped, "datetime", stamp, locked=True)
    return found


_AUDIT = """\
  {p}__Record_Version__c double(18,0) m3ter version
  {p}__Created_At__c datetime m3ter created date
  {p}__Modified_At__c datetime m3ter last modified date
  {p}__Author__c string(64) m3ter created by
  {p}__Editor__c string(64) m3ter last modified by
"""
CONSOLE = f"""\
{{p}}__Account__c m3 Account
  Name string(80) m3 Account Name
  {{p}}__m3ter_Id__c key m3ter Id
  {{p}}__Full_Name__c string(255) Account Name
  {{p}}__Account_Code__c string(255) Account Code
  {{p}}__Email__c email(255) Email Address
  {{p}}__Parent__c reference({{p}}__Account__c) Parent account
  {{p}}__Billing_Currency__c string(40) Currency
  {{p}}__PO_Number__c string(255) Purchase Order Number
  {{p}}__Bill_Due__c double(4,0) Days before bill due
  {{p}}__First_Bill__c date First bill date
  {{p}}__Line_1__c string(255) Address Line 1
  {{p}}__Line_2__c string(255) Address line 2
  {{p}}__Line_3__c string(255) Address line 3
  {{p}}__Line_4__c string(255) Address line 4
  {{p}}__City__c string(255) City / town
  {{p}}__State__c string(255) Region / province
  {{p}}__Zip__c string(255) Postcode / ZIP
  {{p}}__Land__c string(255) Country
  {{p}}__Statement_Definition__c string(64) Statement Definition
  {{p}}__Statement_Mode__c picklist Auto-generate statement mode
  {{p}}__Credit_Order__c string(255) Credit application order
{_AUDIT}\
{{p}}__Contract__c m3 Contract
  Name string(80) Contract Name
  {{p}}__m3ter_Id__c key m3ter Id
  {{p}}__Account__c reference({{p}}__Account__c) Account
  {{p}}__Title__c string(255) m3 Contract Name
  {{p}}__Contract_Code__c string(255) Contract code
  {{p}}__Details__c textarea(32768) Description
  {{p}}__PO_Number__c string(255) PO Number
  {{p}}__Starts__c date Start date (inclusive)
  {{p}}__Ends__c date End date (exclusive)
  {{p}}__Period_Limits__c boolean Apply Contract Period Limits
  {{p}}__Filters__c textarea(131072) Usage filters
  {{p}}__Grouping__c string(64) Bill grouping key
{_AUDIT}\
{{p}}__Prepayment__c m3 Prepayment
  Name- string(80) Prepayment Number
  {{p}}__m3ter_Id__c key m3ter Id
  {{p}}__Account__c reference({{p}}__Account__c) Account
  {{p}}__Contract__c reference({{p}}__Contract__c) Contract
  {{p}}__Ccy__c string(40) Currency
  {{p}}__Prepayment_Amount__c double(12,6) Prepayment Amount
  {{p}}__Paid__c double(12,6) Amount pre-paid
  {{p}}__First__c double(12,6) Amount first bill
  {{p}}__Spent__c double(12,6) Amount spent
  {{p}}__Surcharge__c double(12,6) Overage Surcharge Percent
  {{p}}__Separate__c boolean Separate overage usage
  {{p}}__Starts__c date Start Date
  {{p}}__Ends__c date End Date
  {{p}}__Epoch__c date Bill epoch
  {{p}}__Interval__c double(4,0) Billing Interval
  {{p}}__Offset__c double(4,0) Billing Offset
  {{p}}__Plan__c string(64) Billing Plan
  {{p}}__Fee_Text__c textarea(32768) Prepayment fee description
  {{p}}__Usage_Text__c textarea(32768) Prepayment usage description
  {{p}}__Overage_Text__c textarea(32768) Overage Description
  {{p}}__In_Advance__c boolean Fee Bill In Advance
  {{p}}__Schedule__c textarea(131072) Fee Dates
  {{p}}__Child_Mode__c picklist Child billing mode
  {{p}}__Types__c textarea(32768) Line item types
  {{p}}__Products__c textarea(32768) Product IDs
  {{p}}__Accounting__c string(64) Accounting product
  {{p}}__Fees__c string(64) Fees accounting product
  {{p}}__Draws__c string(64) Drawdowns accounting product
{_AUDIT}\
{{p}}__Balance__c m3 Balance
  Name string(80) Balance Name
  {{p}}__m3ter_Id__c key m3ter Id
  {{p}}__Account__c reference({{p}}__Account__c) Account
  {{p}}__Contract__c reference({{p}}__Contract__c) Contract
  {{p}}__Full_Name__c textarea(32768) m3 Balance Name
  {{p}}__Balance_Code__c string(255) Balance Code
  {{p}}__Text__c textarea(32768) Balance Description
  {{p}}__Value__c double(12,6) Amount
  {{p}}__Ccy__c string(40) Currency
  {{p}}__Starts__c datetime Start date (inclusive)
  {{p}}__Ends__c datetime End date (exclusive)
  {{p}}__Rollover__c double(12,6) Rollover Amount
  {{p}}__Rollover_Ends__c datetime Rollover End Date
  {{p}}__Draw_Text__c textarea(32768) Draw-down description
  {{p}}__Surcharge__c double(12,6) Overage surcharge percent
  {{p}}__Overage_Text__c textarea(32768) Overage description
  {{p}}__Products__c textarea(32768) Product Ids
  {{p}}__Types__c textarea(32768) Line Item Types
  {{p}}__Consumptions__c string(64) Consumptions accounting product
  {{p}}__Fees__c string(64) Fees accounting product
  {{p}}__Overdraft__c boolean Allow Overdraft
{_AUDIT}"""


def _as_the_api(label: str, name: str, *fields: str) -> str:
    """An object whose fields have the names of m3ter's JSON, and empty labels."""
    audit = "version:double(18,0) dtCreated:datetime dtLastModified:datetime"
    shared = f"m3Id:key lastSystemToUpdate!:picklist(m3ter,SFDC) {audit}"
    lines = [f"{{p}}__{name}__c {label}"]
    for one in (*f"{shared} createdBy lastModifiedBy".split(), *" ".join(fields).split()):
        called, _, kind = one.partition(":")
        mark = "!" if called.endswith("!") else ""
        if called == "Name":
            lines.append(f"  Name {kind} Name")
        else:
            lines.append(f"  {{p}}__{called.rstrip('!')}__c{mark} {kind or 'string(255)'} -")
    return "\n".join(lines) + "\n"


_LONG, _NUMBER = "textarea(131072)", "double(12,6)"
_OWNER = "account:reference({p}__m3Account__c) contract:reference({p}__m3Contract__c) accountId"
API = "".join(
    (
        _as_the_api(
            "m3 Account",
            "m3Account",
            "Name:string(80) name code emailAddress:email(255) currency purchaseOrderNumber",
            "parentAccount:reference({p}__m3Account__c) daysBeforeBillDue:double(4,0)",
            "billEpoch:date addressLine1 addressLine2 addressLine3 addressLine4 locality region",
            "postCode country statementDefinitionId autoGenerateStatementMode",
            "creditApplicationOrder",
        ),
        _as_the_api(
            "m3 Contract",
            "m3Contract",
            f"Name:string(80) name code description:{_LONG} purchaseOrderNumber startDate:date",
            f"endDate:date applyContractPeriodLimits:boolean usageFilters:{_LONG}",
            "billGroupingKeyId account:reference({p}__m3Account__c)",
        ),
        _as_the_api(
            "m3 Commitment",
            "m3Commitment",
            f"{_OWNER} currency amount:{_NUMBER} amountPrePaid:{_NUMBER}",
            f"amountFirstBill:{_NUMBER} amountSpent:{_NUMBER} overageSurchargePercent:{_NUMBER}",
            "separateOverageUsage:boolean startDate:date endDate:date billEpoch:date",
            "billingInterval:double(4,0) billingOffset:double(4,0) billingPlanId",
            f"commitmentFeeDescription:{_LONG} commitmentUsageDescription:{_LONG}",
            f"overageDescription:{_LONG} commitmentFeeBillInAdvance:boolean feeDates:{_LONG}",
            f"childBillingMode lineItemTypes:{_LONG} productIds:{_LONG} accountingProductId",
            "feesAccountingProductId drawdownsAccountingProductId",
        ),
        _as_the_api(
            "m3 Balance",
            "m3Balance",
            f"Name:string(80) {_OWNER} name:{_LONG} code description:{_LONG} amount:{_NUMBER}",
            f"currency startDate:datetime endDate:datetime rolloverAmount:{_NUMBER}",
            f"rolloverEndDate:datetime balanceDrawDownDescription:{_LONG}",
            f"overageSurchargePercent:{_NUMBER} overageDescription:{_LONG} productIds:{_LONG}",
            f"lineItemTypes:{_LONG} consumptionsAccountingProductId feesAccountingProductId",
            "allowOverdraft:boolean",
        ),
    )
)
STANDARD = """\
Account Account
  Name! string(255) Account Name
  ParentId reference(Account) Parent Account ID
  AccountNumber string(40) Account Number
  BillingCity string(40) Billing City
  m3ter_Id__c key m3ter Id
  Tier__c picklist(gold,silver) Tier
Contract Contract
  AccountId! reference(Account) Account ID
"""
TRAPS = """\
{p}__Account_Settings__c m3 Account Settings
  Name string(80) Name
{p}__Balance_Transaction__c m3 Balance Transaction
  Name string(80) Name
{p}__Account__mdt m3 Account
  DeveloperName string(80) Name
{p}__Account__e m3 Account
  ReplayId string(80) Replay ID
{p}__Accounts__c m3 Account
  Name string(80) Name
"""
"""Other objects with similar names; the last is a custom setting."""
OTHER = """\
acme__Account__c Account
  Name string(80) Name
acme__Balance__c Balance Sheet
  Name string(80) Name
"""
"""A package of another vendor."""
