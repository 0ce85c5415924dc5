"""The organization: its collections, and the changes that users and m3ter make to records."""

import copy
import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Self

import msgspec

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.organization.collection import Collection, Entry, Query
from m3sync_dagster.sandbox.organization.ids_and_times import random_uuid, utc_text
from m3sync_dagster.sandbox.organization.sample_configurations import PATH, sample_configurations
from m3sync_dagster.sandbox.organization.sample_external_mappings import PATH as EXTERNAL_MAPPINGS
from m3sync_dagster.sandbox.organization.sample_external_mappings import sample_external_mappings
from m3sync_dagster.sandbox.organization.sample_line_items import PATH as LINE_ITEMS
from m3sync_dagster.sandbox.organization.sample_line_items import sample_line_items
from m3sync_dagster.sandbox.organization.sample_records import sample_records
from m3sync_dagster.sandbox.organization.sample_settings import SETTINGS
from m3sync_dagster.sandbox.organization.sample_transactions import sample_transactions

COLLECTIONS = (
    "users",
    "accounts",
    "contracts",
    "commitments",
    "balances",
    "bills",
    LINE_ITEMS,
    EXTERNAL_MAPPINGS,
    PATH,
    *SETTINGS,
)
"""The record types, by the last segment of their list path; parents before children."""

CRM_ACCOUNT_IDS = tuple(f"001{number:012}AAA" for number in range(10))
"""Salesforce Ids of the first accounts of a sandbox org, which count up from zero."""
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)
decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""The fields of a JSON object, each value as its JSON text."""


class UnknownRecordError(LookupError):
    """The record or the record type does not exist."""


class VersionConflictError(ValueError):
    """An update has another version than the record's current one."""


class Organization:
    """An m3ter organization's users, records and configurations of hosted integrations.

    Every value is stored as its JSON text, so that no number is reformatted. In new values, a
    ``Decimal`` becomes a JSON number with exactly its digits, and a ``msgspec.Raw`` is stored
    unchanged. It can be used while a server in another thread serves it.

    Args:
        seed: the seed for new ids and for the choice of ``change_some``.
        clock: gives the modification time of changed records.
    """

    def __init__(self, seed: int = 1, clock: Callable[[], datetime] | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - sample data, not a secret
        self._clock = clock or (lambda: datetime.now(UTC))
        self._lock = threading.RLock()
        self._collections = {name: Collection() for name in COLLECTIONS}
        for path, record in SETTINGS.items():
            self._collections[path].put(record["id"], _encoder.encode(record))

    @classmethod
    def sample(cls, seed: int = 1) -> Self:
        """The organization of the demo: small, with the difficult values of real data."""
        return copy.deepcopy(cls._built_sample(seed))

    @classmethod
    @cache
    def _built_sample(cls, seed: int) -> Self:
        """The records of the sample; a process of tests asks for them a thousand times."""
        organization = cls.generate(
            120, contracts=160, commitments=140, balances=180, bills=150, seed=seed
        )
        organization.add_sample_configurations()
        organization.add_sample_transactions()
        organization.add_sample_line_items()
        organization.add_sample_external_mappings(CRM_ACCOUNT_IDS)
        return organization

    def __getstate__(self) -> dict[str, object]:
        """All but the lock, so that a copy creates the same ids next."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()

    @classmethod
    def generate(  # noqa: PLR0913 - one for each type of record
        cls,
        accounts: int,
        *,
        contracts: int = 0,
        commitments: int = 0,
        balances: int = 0,
        bills: int = 0,
        seed: int = 1,
    ) -> Self:
        """An organization of this size, with six users; the same seed gives the same records."""
        organization = cls(seed)
        sizes = {
            "users": 6,
            "accounts": accounts,
            "contracts": contracts,
            "commitments": commitments,
            "balances": balances,
            "bills": bills,
        }
        for entity, record in sample_records(organization._random, sizes):
            organization._collections[entity].put(record["id"], _encoder.encode(record))
        return organization

    def add_sample_configurations(self) -> None:
        """Add the sample configurations of hosted integrations; it needs three accounts."""
        for one in sample_configurations(self.ids("accounts"), self.ids("users")):
            self._collections[PATH].put(one["id"], _encoder.encode(one))

    def add_sample_transactions(self) -> None:
        """Give each balance the transactions of which its amount is the sum."""
        user = self.ids("users")[0]
        for balance_id in self.ids("balances"):
            balance, path = self.get("balances", balance_id), self.transactions_path(balance_id)
            for one in sample_transactions(balance, user):
                self._collections[path].put(one["id"], _encoder.encode(one))

    def add_sample_line_items(self) -> None:
        """Give each bill the records of its line items."""
        for bill_id in self.ids("bills"):
            for one in sample_line_items(self.get("bills", bill_id)):
                self._collections[LINE_ITEMS].put(one["id"], _encoder.encode(one))

    def add_sample_external_mappings(self, crm_accounts: Sequence[str]) -> None:
        """Map half of the accounts to Accounts in Salesforce, which are given by their Ids."""
        user = self.ids("users")[0]
        for one in sample_external_mappings(self.ids("accounts"), crm_accounts, user):
            self._collections[EXTERNAL_MAPPINGS].put(one["id"], _encoder.encode(one))

    def count(self, entity: str) -> int:
        """The number of records of a type."""
        return len(self._collection(entity))

    def ids(self, entity: str) -> list[str]:
        """The ids of all records of a type, oldest first."""
        with self._lock:
            return self._collection(entity).ids()

    def raw(self, entity: str, record_id: str) -> bytes:
        """A record as JSON.

        Raises:
            UnknownRecordError: there is no such record.
        """
        raw = self._collection(entity).raw(record_id)
        if raw is None:
            raise UnknownRecordError(f"There is no record {record_id} in {entity}.")
        return raw

    def get(self, entity: str, record_id: str) -> JsonObject:
        """A record, with its fractional numbers as ``Decimal``."""
        record: JsonObject = _decoder.decode(self.raw(entity, record_id))
        return record

    def page(self, entity: str, query: Query) -> tuple[list[Entry], bool]:
        """The matching records of one page, newest first, and whether there are more."""
        with self._lock:
            return self._collection(entity).page(query)

    def newest(self, entity: str) -> int:
        """The ``before`` of a first page."""
        return self._collection(entity).newest

    def add(self, entity: str, /, **fields: object) -> str:
        """Creates a record as m3ter does, at version 1, and returns its id."""
        with self._lock:
            now = self._now()
            record = {"id": self.new_id(), "version": 1, **fields}
            stamps = {"dtCreated": now, "dtLastModified": now, **self._author()}
            record_id = str(record["id"])
            self._collection(entity).put(record_id, _encoder.encode(record | stamps))
            return record_id

    def change(self, entity: str, record_id: str, /, **fields: object) -> None:
        """Updates some fields of a record as m3ter does: a new version and modification time."""
        with self._lock:
            record = self._fields(entity, record_id)
            self._write(entity, record_id, record | fields, self._version(record) + 1)

    def update(self, entity: str, record_id: str, fields: JsonObject) -> None:
        """Replaces a record as m3ter's PUT does: fields that are not given are removed.

        Raises:
            UnknownRecordError: there is no such record.
            VersionConflictError: ``fields`` has no version, or not the current one.
        """
        with self._lock:
            current = self._fields(entity, record_id)
            version = self._version(current)
            if self._version(fields) != version:
                raise VersionConflictError(f"The version must be the current one, {version}.")
            kept = {name: current[name] for name in ("dtCreated", "createdBy") if name in current}
            self._write(entity, record_id, fields | {"id": record_id} | kept, version + 1)

    def remove(self, entity: str, record_id: str) -> bytes:
        """Deletes a record, and a bill's line items with it, and returns it.

        Raises:
            UnknownRecordError: there is no such record.
        """
        with self._lock:
            raw = self.raw(entity, record_id)
            self._collection(entity).delete(record_id)
            if entity == "bills":
                self._collections[LINE_ITEMS].delete_where(lambda k: k.bill_id == record_id)
            return raw

    def transactions_path(self, balance_id: str) -> str:
        """The path of a balance's transactions, which is a type of record of its own.

        Raises:
            UnknownRecordError: there is no such balance.
        """
        with self._lock:
            self.raw("balances", balance_id)
            path = f"balances/{balance_id}/transactions"
            self._collections.setdefault(path, Collection())
            return path

    def transact(self, balance_id: str, amount: Decimal, /, **fields: object) -> str:
        """Adds a transaction to a balance, and returns its id.

        It changes the balance's amount, but neither its version nor its time.
        """
        with self._lock:
            path = self.transactions_path(balance_id)
            current = self.get("balances", balance_id).get("amount") or 0
            self.merge("balances", balance_id, {"amount": Decimal(current) + amount})
            return self.add(path, amount=amount, **fields)

    def merge(self, entity: str, record_id: str, fields: JsonObject) -> None:
        """Sets fields of a record and nothing else, not even its version."""
        with self._lock:
            record = self._fields(entity, record_id) | fields
            self._collection(entity).put(record_id, _encoder.encode(record))

    def put_raw(self, entity: str, record_id: str, raw: bytes) -> None:
        """Stores any JSON as the record with this id; lists return it unchanged.

        Raises:
            msgspec.DecodeError: ``raw`` is not JSON, even to a lenient decoder.
        """
        with self._lock:
            self._collection(entity).put(record_id, raw)

    def change_some(self, share: float, entity: str) -> list[str]:
        """Changes a share, from 0 to 1, of the records of a type, and returns their ids."""
        with self._lock:
            ids = self.ids(entity)
            chosen = self._random.sample(ids, round(share * len(ids)))
            for record_id in chosen:
                self.change(
                    entity, record_id, **_sample_change(entity, self.get(entity, record_id))
                )
            return chosen

    def new_id(self) -> str:
        """A random UUID."""
        return random_uuid(self._random)

    def _collection(self, entity: str) -> Collection:
        try:
            return self._collections[entity]
        except KeyError:
            raise UnknownRecordError(f"There are no {entity}, only {COLLECTIONS}.") from None

    def _fields(self, entity: str, record_id: str) -> JsonObject:
        return dict(decode_fields(self.raw(entity, record_id)))

    def _write(self, entity: str, record_id: str, record: JsonObject, version: int) -> None:
        modified = {"version": version, "dtLastModified": self._now()}
        raw = _encoder.encode(record | modified)
        self._collection(entity).put(record_id, raw)

    def _version(self, record: JsonObject) -> int:
        raw = record.get("version", 0)
        version = msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw
        return version if isinstance(version, int) else 0

    def _now(self) -> str:
        return utc_text(self._clock().astimezone(UTC))

    def _author(self) -> dict[str, str]:
        users = self._collections["users"].ids()
        return {"createdBy": users[0], "lastModifiedBy": users[0]} if users else {}


def _sample_change(entity: str, record: JsonObject) -> dict[str, object]:
    """A typical change of a record of this type."""
    cent = Decimal("0.01")
    match entity:
        case "commitments":
            return {"amountSpent": Decimal(record.get("amountSpent") or 0) + cent}
        case "balances":
            return {"amount": Decimal(record.get("amount") or 0) - cent}
        case "users":
            return {"contactNumber": f"+44 20 7946 {record['version']:04}"}
        case _:
            return {"purchaseOrderNumber": f"PO-{record['version'] + 1:06}"}
