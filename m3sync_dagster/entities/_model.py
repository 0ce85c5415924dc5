"""The types that the entity files use to describe a record type."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class FieldKind(StrEnum):
    """The form of a value in m3ter's JSON, which selects its converter.

    - ``TEXT``: a string. An empty string is no value, as in Salesforce.
    - ``NUMBER``, ``INTEGER``: a JSON number, kept as exact decimal digits.
    - ``BOOLEAN``: ``true`` or ``false``.
    - ``DATE``: an ISO 8601 calendar date, sent unchanged.
    - ``DATETIME``: an ISO 8601 date-time, sent as UTC, to the millisecond.
    - ``LIST``: an array of plain strings, sent as one text joined with ``;``.
    - ``JSON``: any array or object, sent as compact JSON text with sorted keys.
    - ``LOOKUP``: the m3ter id of another record, sent as that record's external ID.
    - ``LINK``: the Salesforce Id of a record of the CRM that an account belongs to.
    - ``ANY``: a field without a description: a custom field, or one that is newer than this
      code. Its form follows from the value itself.
    - ``TITLE``: Salesforce's ``Name``: the first of several fields that has a value, cut to fit.
    """

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    LIST = "list"
    JSON = "json"
    LOOKUP = "lookup"
    LINK = "link"
    ANY = "any"
    TITLE = "title"


@dataclass(frozen=True, slots=True)
class Field:
    """One m3ter response field and its default Salesforce field.

    Args:
        source: the field's path in m3ter's JSON; a dot separates a nested object's field.
        salesforce: the API name of the Salesforce field, without a namespace prefix.
        kind: the form of the value.
        length: the most characters our Salesforce field holds; over 255 it is a long text area.
        precision, scale: digits in all, and after the decimal point, of a number field.
        refers_to: for a ``LOOKUP``, the name of the entity type it points to.
        sources: for a ``TITLE``, the m3ter fields to look at, in this order.
        aliases: other names of it, such as those of m3ter's Console.
    """

    source: str
    salesforce: str
    kind: FieldKind = FieldKind.TEXT
    length: int = 255
    precision: int = 18
    scale: int = 0
    refers_to: str | None = None
    sources: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityType:
    """A type of m3ter record that is synced to Salesforce.

    Args:
        name: its name in the YAML and in asset keys: ``account``.
        label: its name for people: ``Account``.
        path: the list endpoint's last segment, under ``/organizations/{orgId}/``.
        account_field: the field that holds the id of the account the record belongs to;
            ``id`` for accounts themselves. With ``scoped_by``, the id of that parent.
        account_filter: the query parameter with which the list endpoint narrows to one account;
            ``None``: it cannot, so the whole list is read.
        object: the API name of our Salesforce custom object, without a namespace prefix.
        custom_fields: whether m3ter lets people add custom fields to this type.
        fields: every documented response field except ``id`` and ``customFields``.
        aliases: other names of it.
        query: parameters of the list endpoint other than those for paging and accounts.
        final_when: a new record is synced only if one of these fields has this value, since
            until then m3ter may recalculate it; a synced record is always updated; empty: always.
        code_filter: the query parameter with which the list endpoint selects codes, if it has one.
        scoped_by: the parent type that decides for its children whether they are in scope and
            final, because they have neither an account nor a status; it has its own
            ``account_field`` and ``final_when``. m3ter reads one child under its parent's path.
        on_request: new integrations and the default metadata leave it out.
    """

    name: str
    label: str
    path: str
    account_field: str
    account_filter: str | None
    object: str
    custom_fields: bool
    fields: tuple[Field, ...]
    aliases: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    final_when: tuple[tuple[str, str | bool], ...] = ()
    code_filter: str | None = None
    scoped_by: str | None = None
    on_request: bool = False

    @property
    def lookups(self) -> Iterator[Field]:
        """The fields that point to another record."""
        return (field for field in self.fields if field.kind is FieldKind.LOOKUP)

    @property
    def parents(self) -> frozenset[str]:
        """Names of the other entity types that must be in Salesforce before this one."""
        return frozenset(f.refers_to for f in self.lookups if f.refers_to) - {self.name}


EXTERNAL_ID = "m3ter_Id__c"
"""The external ID field of each of our objects; it holds m3ter's ``id``."""

M3TER_ID_LENGTH = 64
"""m3ter's ids are UUIDs of 36 characters; the length allows other forms."""


def identity(source: str, salesforce: str) -> Field:
    """A field with the id of an object that is not synced to Salesforce."""
    return Field(source, salesforce, length=M3TER_ID_LENGTH)


def money(source: str, salesforce: str) -> Field:
    """An amount or percentage: 12 digits before the decimal point.

    That is enough for amounts in the smallest currencies. Six decimal places are shown; Salesforce
    keeps more if they are sent.
    Source: Salesforce Help 000387302, on decimal places of numbers that come by the API.
    """
    return Field(source, salesforce, FieldKind.NUMBER, precision=18, scale=6)


AUDIT_FIELDS: tuple[Field, ...] = (
    Field("version", "Version__c", FieldKind.INTEGER),
    Field("dtCreated", "Created_In_m3ter__c", FieldKind.DATETIME, aliases=("Created date",)),
    Field(
        "dtLastModified",
        "Modified_In_m3ter__c",
        FieldKind.DATETIME,
        aliases=("Modified date", "Last modified date"),
    ),
    identity("createdBy", "Created_By_In_m3ter__c"),
    identity("lastModifiedBy", "Modified_By_In_m3ter__c"),
)
"""The fields that every m3ter record has."""
