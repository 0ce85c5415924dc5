"""m3ter's external mappings of accounts to Salesforce records, held in few bytes.

Source: m3ter's OpenAPI description, ``ExternalMappingResponse``.
"""

import msgspec
import xxhash

from m3sync_dagster.sync.account_link_types import AMBIGUOUS, MALFORMED, NO_LINK, Link, LinkOutcome
from m3sync_dagster.sync.salesforce_ids import full_id

_DIGEST, _ID = 12, 18
_ENTRY = _DIGEST + _ID
"""Bytes of a mapping: a part of a digest of the account's id, and the Salesforce Id."""
_BUCKETS = 1 << 12
_NO_ID, _SEVERAL_IDS = b"-" * _ID, b"?" * _ID


class _Mapping(msgspec.Struct, rename="camel"):
    """The fields of an external mapping that are needed."""

    m3ter_entity: str
    m3ter_id: str
    external_system: str
    external_id: str


_DECODE = msgspec.json.Decoder(_Mapping).decode


class ExternalMappings:
    """The records of one Salesforce object that accounts are mapped to.

    A mapping takes 30 bytes, so that a million take 30 MB. They are in buckets by their digest,
    so that a look-up reads only a few.

    Args:
        object_name: API name of the object. A mapping's external table is not looked at: it is
            a free text, and the Id itself says which object it is of.
    """

    def __init__(self, object_name: str) -> None:
        self._object = object_name
        self._buckets: dict[int, bytearray] = {}

    def add(self, raw: bytes) -> None:
        """Add the JSON text of a mapping; one of another system or entity is left out.

        An account with two Ids is ambiguous; the Id of 15 characters and the one of 18 are the
        same. A text that is not the Id of such a record counts only if the account has no other.
        """
        try:
            found = _DECODE(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # it names no account that it could belong to
        if found.external_system.strip().casefold() != "salesforce":
            return
        if found.m3ter_entity.strip().casefold() != "account":
            return
        salesforce_id = full_id(found.external_id, self._object)
        self._put(found.m3ter_id, salesforce_id.encode() if salesforce_id else _NO_ID)

    def find(self, account_id: str) -> Link:
        """The link of an account; its Id has 18 characters."""
        digest = _digest(account_id)
        bucket = self._buckets.get(_bucket_of(digest), bytearray())
        place = _place(bucket, digest)
        if place < 0:
            return NO_LINK
        entry = bytes(bucket[place + _DIGEST : place + _ENTRY])
        if entry == _SEVERAL_IDS:
            return AMBIGUOUS
        return MALFORMED if entry == _NO_ID else Link(LinkOutcome.MATCHED, entry.decode())

    def _put(self, account_id: str, entry: bytes) -> None:
        digest = _digest(account_id)
        bucket = self._buckets.setdefault(_bucket_of(digest), bytearray())
        place = _place(bucket, digest)
        if place < 0:
            bucket += digest + entry
            return
        before = bytes(bucket[place + _DIGEST : place + _ENTRY])
        if entry not in (before, _NO_ID):
            after = entry if before == _NO_ID else _SEVERAL_IDS
            bucket[place + _DIGEST : place + _ENTRY] = after


def _digest(account_id: str) -> bytes:
    return xxhash.xxh3_128_digest(account_id)[:_DIGEST]


def _bucket_of(digest: bytes) -> int:
    return int.from_bytes(digest) % _BUCKETS


def _place(bucket: bytearray, digest: bytes) -> int:
    """Where the entry with this digest begins; -1 if there is none."""
    place = bucket.find(digest)
    while place != -1 and place % _ENTRY:
        place = bucket.find(digest, place + 1)
    return place
