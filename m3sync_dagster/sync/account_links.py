"""The records of the CRM that m3ter's accounts belong to, for a lookup on our object.

An account that belongs to none, or not certainly to one, has an empty lookup: a wrong link is worse
than none.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

from m3sync_dagster.sync.account_link_types import (
    AMBIGUOUS,
    MALFORMED,
    NO_LINK,
    AccountLink,
    Link,
    LinkBy,
    LinkFinder,
    LinkOrg,
    LinkOutcome,
    Record,
)
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.external_mappings import ExternalMappings
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_decoder import decode_record, id_of
from m3sync_dagster.sync.salesforce_ids import full_id


def with_links_of(
    mapping: FieldMapping, source: Source, org: LinkOrg, account_ids: Sequence[str] | None
) -> FieldMapping:
    """The mapping that knows the links of accounts, if it has a lookup for them.

    Args:
        mapping: of any entity type.
        source: m3ter. It is asked when the first account is mapped.
        org: Salesforce.
        account_ids: the accounts that are mapped; ``None`` for all.
    """
    if mapping.link is None:
        return mapping
    return replace(mapping, links=_finder(mapping.link, source, org, account_ids))


def _finder(
    link: AccountLink, source: Source, org: LinkOrg, account_ids: Sequence[str] | None
) -> LinkFinder:
    match link.by:
        case LinkBy.CUSTOM_FIELD:
            return ByCustomField(link)
        case LinkBy.CODE:
            return ByCode(link, org)
    return ByExternalMapping(link, lambda: source.external_mappings(account_ids))


class ByExternalMapping:
    """Links by m3ter's external mappings, which are read when the first account is looked up."""

    by_code = False

    def __init__(self, link: AccountLink, read: Callable[[], Iterable[Sequence[bytes]]]) -> None:
        self._link = link
        self._read = read

    def prepare(self, records: Sequence[bytes]) -> None:
        """Nothing to do."""

    def find(self, account: Record) -> Link:
        """The link of an account; see ``LinkFinder``."""
        return self._of(account.get("id"))

    def find_raw(self, raw: bytes) -> Link:
        """The link of an account's JSON text; see ``LinkFinder``."""
        return self._of(id_of(raw))

    def _of(self, account_id: object) -> Link:
        return self._mappings.find(account_id) if isinstance(account_id, str) else NO_LINK

    @cached_property
    def _mappings(self) -> ExternalMappings:
        mappings = ExternalMappings(self._link.object)
        for raw in chain.from_iterable(self._read()):
            mappings.add(raw)
        return mappings


class ByCustomField:
    """Links by the Salesforce Id in a custom field of the account."""

    by_code = False

    def __init__(self, link: AccountLink) -> None:
        self._link = link

    def prepare(self, records: Sequence[bytes]) -> None:
        """Nothing to do."""

    def find(self, account: Record) -> Link:
        """The link of an account; see ``LinkFinder``."""
        fields = account.get("customFields")
        value = fields.get(self._link.name) if isinstance(fields, dict) else None
        if value is None or value == "":
            return NO_LINK
        salesforce_id = full_id(value, self._link.object)
        return Link(LinkOutcome.MATCHED, salesforce_id) if salesforce_id else MALFORMED

    def find_raw(self, raw: bytes) -> Link:
        """The link of an account's JSON text; see ``LinkFinder``."""
        return self.find(_decoded(raw))


class ByCode:
    """Links by the account's code, which a field of the CRM's records has too.

    The codes of one ``prepare`` are in memory at a time.
    """

    by_code = True

    def __init__(self, link: AccountLink, org: LinkOrg) -> None:
        self._link = link
        self._org = org
        self._found: dict[str, Sequence[str]] = {}

    def prepare(self, records: Sequence[bytes]) -> None:
        """Ask Salesforce for the codes of these accounts that are not known."""
        codes = {code for raw in records if (code := _code(_decoded(raw)))}
        known = {code: self._found[code] for code in codes & self._found.keys()}
        missing = sorted(codes - known.keys())
        asked = self._org.find_ids(self._link.object, self._link.name, missing) if missing else {}
        self._found = known | {code: asked.get(code, ()) for code in missing}

    def find(self, account: Record) -> Link:
        """The link of an account that was prepared; see ``LinkFinder``."""
        code = _code(account)
        if code is None:
            return NO_LINK
        found = self._found[code]
        if len(found) > 1:
            return AMBIGUOUS
        return Link(LinkOutcome.MATCHED, found[0]) if found else NO_LINK

    def find_raw(self, raw: bytes) -> Link:
        """The link of an account's JSON text; see ``LinkFinder``."""
        return self.find(_decoded(raw))


def _decoded(raw: bytes) -> Record:
    """The account; an empty one if it cannot be decoded, which the mapping reports."""
    try:
        record = decode_record(raw)
    except ConversionError:
        return {}
    return record if isinstance(record, dict) else {}


def _code(account: Record) -> str | None:
    """An account's code, as a Salesforce field would store it."""
    code = account.get("code")
    return (code.strip() or None) if isinstance(code, str) and "\0" not in code else None
