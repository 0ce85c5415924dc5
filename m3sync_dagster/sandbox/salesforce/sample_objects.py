"""What the sandbox org has besides m3sync's own objects: Account, and a package like m3ter's.

m3ter does not publish its package's API names. These are made up: the objects have the labels that
m3ter's documentation names, such as m3 Account, and the fields are spelled like
``lastSystemToUpdate__c`` there. As in a real org, some of m3ter's fields have no Salesforce field,
and some Salesforce fields have no m3ter field.
"""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.salesforce.dx_source import read_field
from m3sync_dagster.sandbox.salesforce.org import Org, Package
from m3sync_dagster.sandbox.salesforce.record_writer import Row, Writer
from m3sync_dagster.sandbox.salesforce.row_columns import column_of
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef, Schema

PACKAGE = Package("m3ter Connector", "m3sandbox")
"""The package, with its namespace."""
LINK_METADATA = Path(__file__).parents[2] / "salesforce" / "account_link_metadata"
"""The source of the lookup from m3sync's own object of accounts to Account."""
ACCOUNT_KEY_PREFIX = "001"
"""How the Ids of accounts begin. Source: Object Reference, "Account"."""

# A line for each object, and below it one for each field: name, type and size, label. An
# exclamation mark marks a required field, a tilde a read-only one; a Key is an External ID.
# Source of Account's fields and their lengths: Object Reference, "Account". m3ter_Id__c is the
# custom field that an admin adds.
_STANDARD = """\
Account Account
  Name! Text(255) Account Name
  ParentId Lookup(Account) Parent Account ID
  AccountNumber Text(40) Account Number
  Site Text(80) Account Site
  Type Picklist Account Type
  Industry Picklist Industry
  AnnualRevenue Currency(18,0) Annual Revenue
  Ownership Picklist Ownership
  Rating Picklist Account Rating
  TickerSymbol Text(20) Ticker Symbol
  Sic Text(20) SIC Code
  SicDesc Text(80) SIC Description
  AccountSource Picklist Account Source
  Jigsaw Text(20) Data.com Key
  JigsawCompanyId~ Text(20) Jigsaw Company ID
  Fax Phone(40) Account Fax
  Phone Phone(40) Account Phone
  Website Url(255) Website
  Description LongTextArea(32000) Account Description
  NumberOfEmployees Number(8,0) Employees
  BillingStreet TextArea(255) Billing Street
  BillingCity Text(40) Billing City
  BillingState Text(80) Billing State/Province
  BillingPostalCode Text(20) Billing Zip/Postal Code
  BillingCountry Text(80) Billing Country
  ShippingStreet TextArea(255) Shipping Street
  ShippingCity Text(40) Shipping City
  ShippingState Text(80) Shipping State/Province
  ShippingPostalCode Text(20) Shipping Zip/Postal Code
  ShippingCountry Text(80) Shipping Country
  m3ter_Id__c Key(64) m3ter Id
"""
_AUDIT = """\
  version__c Number(18,0) Version
  dtCreated__c DateTime Created Date
  dtLastModified__c DateTime Last Modified Date
  syncStatus__c Text(80) Sync Status
  lastSystemToUpdate__c Text(80) Last System To Update
"""
_OF_PACKAGE = f"""\
Account__c m3 Account
  Name Text(80) m3 Account Name
  m3terId__c Key(64) m3 Id
  accountName__c Text(255) Account Name
  code__c Text(255) Account Code
  emailAddress__c Text(255) Email Address
  parentAccount__c Lookup(Account__c) Parent Account
  currency__c Text(40) Currency
  purchaseOrderNumber__c Text(255) Purchase Order Number
  daysBeforeBillDue__c Number(18,0) Days Before Bill Due
  billEpoch__c Date First Bill Date
  addressLine1__c Text(255) Address Line 1
  addressLine2__c Text(255) Address Line 2
  city__c Text(255) City / town
  region__c Text(255) Region / province
  postcode__c Text(255) Postcode / ZIP
  country__c Text(255) Country
{_AUDIT}\
Contract__c m3 Contract
  Name Text(80) m3 Contract Name
  m3terId__c Key(64) m3 Id
  account__c Lookup(Account__c) m3 Account
  contractName__c Text(255) Contract Name
  code__c Text(255) Contract Code
  description__c LongTextArea(32768) Description
  purchaseOrderNumber__c Text(255) Purchase Order Number
  startDate__c Date Start Date
  endDate__c Date End Date
{_AUDIT}\
Prepayment__c m3 Prepayment
  Name AutoNumber Prepayment Number
  m3terId__c Key(64) m3 Id
  account__c Lookup(Account__c) m3 Account
  contract__c Lookup(Contract__c) m3 Contract
  currency__c Text(40) Currency
  amount__c Number(18,6) Amount
  amountPrePaid__c Number(18,6) Amount Pre-Paid
  amountSpent__c Number(18,6) Amount Spent
  startDate__c Date Start Date
  endDate__c Date End Date
{_AUDIT}\
Balance__c m3 Balance
  Name Text(80) m3 Balance Name
  m3terId__c Key(64) m3 Id
  account__c Lookup(Account__c) m3 Account
  contract__c Lookup(Contract__c) m3 Contract
  balanceName__c LongTextArea(32768) Balance Name
  code__c Text(255) Balance Code
  description__c LongTextArea(32768) Description
  amount__c Number(18,6) Amount
  currency__c Text(40) Currency
  startDate__c DateTime Start Date
  endDate__c DateTime End Date
  allowOverdraft__c Checkbox Allow Overdraft
{_AUDIT}\
"""
_ACCOUNTS = (
    ("Northwind Traders", "United Kingdom"),
    ("Contoso Retail", "United States"),
    ("Müller & Söhne", "Germany"),
    ("Fabrikam, Inc.", "United States"),
    ("日本通信", "Japan"),
    ("Litware Energy", "Ireland"),
    ("Tailspin Toys", "Canada"),
    ("Société Lumière", "France"),
    ("Adventure Works", "Australia"),
    ("Proseware", "Netherlands"),
)
"""Names and countries of the CRM's own Accounts."""
_OBJECT = re.compile(r"^(\w+) (.+)\n((?: .+\n)+)", re.MULTILINE)
_FIELD = re.compile(r"^  (\w+)([!~]?) (\w+)(?:\((.+?)\))? (.+)$", re.MULTILINE)


def add_sample_objects(org: Org) -> None:
    """Add Account and the package with its objects to an org.

    An object that the org already has gets the fields that it lacks.
    """
    _add(org.schema, _STANDARD, "")
    org.object("Account").key_prefix = ACCOUNT_KEY_PREFIX
    _add(org.schema, _OF_PACKAGE, f"{PACKAGE.namespace}__")
    org.packages.append(PACKAGE)


def add_sample_accounts(org: Org) -> None:
    """Add the CRM's own Accounts to an org that has none; their Ids count up from zero."""
    table = org.table("Account")
    columns = [column_of(org, table, name) for name in ("Name", "AccountNumber", "BillingCountry")]
    rows = [
        Row(None, columns, [name, f"CRM-{number:04}", country])
        for number, (name, country) in enumerate(_ACCOUNTS, start=1)
    ]
    Writer(org, table).save(rows)


def add_account_link(org: Org) -> None:
    """Add the lookup to Account to m3sync's own object, as if it were deployed and permitted.

    An org without that object gets none.
    """
    for path in LINK_METADATA.glob("**/objects/*/fields/*.field-meta.xml"):
        if owner := org.schema.existing(path.parents[1].name):
            field = ET.parse(path).getroot()  # noqa: S314 - the project's own metadata
            org.schema.add_field(owner, read_field(org.schema, field))


def _add(schema: Schema, objects: str, prefix: str) -> None:
    for name, label, lines in _OBJECT.findall(objects):
        name_field, *fields = [_field(line, prefix) for line in _FIELD.finditer(lines)]
        full_name = _named(name, prefix)
        added = schema.existing(full_name) or schema.add_object(
            full_name, label, f"{label}s", name_field
        )
        for field in fields:
            if field.name not in added.fields:
                schema.add_field(added, field)


def _named(name: str, prefix: str) -> str:
    """Salesforce's own names have no namespace."""
    return prefix + name if name.endswith("__c") else name


def _field(line: re.Match[str], prefix: str) -> FieldDef:
    name, mark, kind, size, label = line.groups()
    key, automatic = kind == "Key", kind == "AutoNumber"
    read_only = automatic or mark == "~"
    numbers = [int(one) for one in (size or "").split(",") if one.isdigit()]
    return FieldDef(
        _named(name, prefix),
        label,
        "Text" if key else kind,
        length=0 if kind in NUMERIC else next(iter(numbers), 0),
        precision=numbers[0] if kind in NUMERIC else 0,
        scale=numbers[1] if kind in NUMERIC else 0,
        required=mark == "!",
        unique=key,
        external_id=key,
        case_sensitive=key,
        refers_to=_named(size, prefix) if kind == "Lookup" else None,
        child_relationship=f"{label.replace(' ', '_')}s" if kind == "Lookup" else None,
        display_format="P-{000000}" if automatic else "",
        createable=not read_only,
        updateable=not read_only,
        name_field=name == "Name",
    )
