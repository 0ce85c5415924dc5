"""The m3ter organization that a sync reads."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import msgspec

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.list_pages import read_pages
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.converters import ConversionError, Undecodable
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.interfaces import LoginLog
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.record_decoder import decode_record, id_of

if TYPE_CHECKING:
    from m3sync_dagster.m3ter.client import Client
    from m3sync_dagster.m3ter.shared_rate_limiter import Permits

PAGE_SIZE = 100
"""The most records that a page of an entity list holds."""
USER_PAGE_SIZE = 200
"""The most users that a page holds."""
EXTERNAL_MAPPING_PAGE_SIZE = 200
"""The most external mappings that a page holds."""
CONFIGURATION_PAGE_SIZE = 200
"""The most configurations of integrations that a page holds."""


class User(msgspec.Struct, frozen=True):
    """A user who receives notifications. ``email`` is ``None`` where m3ter has none."""

    id: str
    name: str
    email: str | None


class M3terSource:
    """Reads from one m3ter organization: the ``Source`` of a sync.

    No request is sent before the first use. An instance uses one token. Close it, or use it as a
    context manager.

    Args:
        credential: the access key.
        postgres_url: where requests are counted, so that all processes together stay under the
            credential's ``requests_per_second``; ``None`` counts for this instance only.
        retries: retries of a request; ``None``: as many as a sync needs.
        logins: records whether m3ter accepts the credential, if it is given.
    """

    def __init__(
        self,
        credential: M3terAccessKey,
        postgres_url: str | None = None,
        retries: int | None = None,
        logins: LoginLog | None = None,
    ) -> None:
        self._credential = credential
        self._postgres_url = postgres_url
        self._retries = retries
        self._logins = logins
        self._accepted = False
        self._matching: dict[tuple[AccountExpression, tuple[str, ...] | None], MatchingAccounts]
        self._matching = {}

    @property
    def organization_id(self) -> str:
        """Id of the organization."""
        return self._credential.organization_id

    def records(
        self, entity: EntityType, account_ids: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        """List every record of a type, newest first, a page at a time.

        Accounts are requested one by one, because m3ter does not document how many ids a request
        may have. Without ids, no request is sent.

        Args:
            entity: the type.
            account_ids: read only the records of these accounts; ``None``: all records. A list
                that cannot be narrowed to an account is read as a whole.

        Yields:
            The raw JSON text of each record of a page. A page may be empty.

        Raises:
            SyncError: not the whole list could be read.
        """
        query = dict(entity.query)
        if account_ids is None or (account_ids and entity.account_filter is None):
            yield from self._pages(entity.path, **query)
        elif entity.account_filter is not None:
            for account_id in dict.fromkeys(account_ids):
                narrowed = query | {entity.account_filter: account_id}
                yield from self._pages(entity.path, **narrowed)

    def fetch(self, entity: EntityType, m3ter_id: str, parent: str | None = None) -> bytes | None:
        """Read one record by its id.

        Every entity type has such a request, and none can be archived: after a deletion m3ter
        responds 404. If m3ter does not know the organization, it may respond 404 for every
        record, so read a list first.

        Source: m3ter's OpenAPI description, ``GetAccount``, ``GetContract``, ``GetCommitment``,
        ``GetBalance``, ``GetBill``, ``GetBillLineItem``.

        Args:
            entity: the type.
            m3ter_id: the record's id.
            parent: of a type with ``scoped_by``, the parent in whose path the record is;
                without it, the whole list is searched.

        Returns:
            The record's JSON text, a bill's with its line items; ``None`` where m3ter
            responds that the record does not exist.

        Raises:
            SyncError: the record could not be read.
        """
        path = f"{entity.path}/{quote(m3ter_id, safe='')}"
        if entity.scoped_by is not None:
            if parent is None:
                listed = chain.from_iterable(self.records(entity, None))
                return next((raw for raw in listed if id_of(raw) == m3ter_id), None)
            path = f"{ENTITIES[entity.scoped_by].path}/{quote(parent, safe='')}/{path}"
        record = self._client.find(path)
        if record is not None and id_of(record) != m3ter_id:
            raise RemoteError(
                f"m3ter answered {path} with something that is not this record",
                "Run it again. If the error continues, check base_url and any proxy.",
            )
        return record

    def matching_accounts(
        self, expression: AccountExpression, account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        """The accounts that satisfy an expression; see ``interfaces.Source``.

        They are read once by an instance, so that all entities of a run have the same scope.
        """
        ids = None if account_ids is None else tuple(account_ids)
        found = self._matching.get((expression, ids))
        if found is None:
            read = partial(self.records, ENTITIES["account"], ids)
            found = self._matching[expression, ids] = MatchingAccounts(expression, read)
        return found

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        """List the external mappings; see ``interfaces.Source``.

        m3ter does not document whether its filter by external system ignores case, so every
        system's are read. Source: m3ter's OpenAPI description, ``ListExternalMappings``.
        """
        page = EXTERNAL_MAPPING_PAGE_SIZE
        if account_ids is None:
            yield from self._pages("externalmappings", pageSize=page)
        else:
            for account_id in dict.fromkeys(account_ids):
                yield from self._pages("externalmappings", pageSize=page, m3terIds=account_id)

    def find_by_code(self, entity: EntityType, code: str) -> Iterator[bytes]:
        """Read the records with a code; none where m3ter cannot select a type's records by code.

        Source: m3ter's OpenAPI description, ``ListAccounts`` and ``ListContracts``: ``codes``.

        Raises:
            SyncError: m3ter could not be reached, or rejected the request.
        """
        if entity.code_filter is None:
            return
        for record in chain.from_iterable(self._pages(entity.path, **{entity.code_filter: code})):
            fields = decode_record(record)
            if isinstance(fields, dict) and fields.get("code") == code:
                yield record

    def users(self, ids: Sequence[str]) -> Iterator[User]:
        """Read the users with these ids; unknown ids are left out.

        Raises:
            SyncError: m3ter could not be reached, or rejected the request.
        """
        for user_id in dict.fromkeys(ids):
            pages = self._pages("users", pageSize=USER_PAGE_SIZE, ids=user_id)
            found = (_decode_user(record) for record in chain.from_iterable(pages))
            yield from (user for user in found if user.id == user_id)

    def hosted_configurations(self) -> Iterator[object]:
        """Read the configurations of m3ter's own integrations, for every destination.

        The list is read, because m3ter describes the response for one configuration as that for
        a run. Source: m3ter's OpenAPI description, ``GetIntegrationConfigs``.

        Yields:
            Each configuration as decoded JSON. A value that cannot be decoded is an
            ``Undecodable``.

        Raises:
            SyncError: m3ter could not be reached, or rejected the request.
        """
        pages = self._pages("integrationconfigs", pageSize=CONFIGURATION_PAGE_SIZE)
        for record in chain.from_iterable(pages):
            try:
                yield decode_record(record)
            except ConversionError as error:
                yield Undecodable(str(error))

    def check(self) -> None:
        """Check the credential: request a token and one account.

        Raises:
            SyncError: the credential cannot be used, or m3ter could not be reached.
        """
        next(self._pages("accounts", pageSize=1))

    @property
    def requests(self) -> int:
        """HTTP requests sent to m3ter so far, including token requests and retries."""
        return self._client.requests

    def close(self) -> None:
        """Close the connections to m3ter and to PostgreSQL."""
        self._client.close()
        self._permits.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pages(self, path: str, **query: str | int) -> Iterator[list[bytes]]:
        return read_pages(self._get, path, {"pageSize": PAGE_SIZE} | query)

    def _get(self, path: str, query: Mapping[str, str | int]) -> bytes:
        """Read a page. The first one shows whether m3ter accepts the credential."""
        try:
            body = self._client.get(path, query)
        except SyncError as error:
            refused = isinstance(error, AuthenticationError)
            unknown = not self._accepted and not isinstance(error, RateLimitError)
            if self._logins and (refused or unknown):
                self._logins.failed(error)
            raise
        if self._logins and not self._accepted:
            self._logins.succeeded(self.organization_id, None)
        self._accepted = True
        return body

    @cached_property
    def _client(self) -> "Client":
        from m3sync_dagster.m3ter.client import (  # noqa: PLC0415 - only a run needs HTTP
            RETRIES,
            Client,
        )

        retries = RETRIES if self._retries is None else self._retries
        return Client(self._credential, self._permits.take, retries)

    @cached_property
    def _permits(self) -> "Permits":
        from m3sync_dagster.m3ter.shared_rate_limiter import (  # noqa: PLC0415 - only a run needs psycopg
            open_permits,
        )

        return open_permits(self._credential, self._postgres_url)


def _decode_user(record: bytes) -> User:
    """Read a user; an unusable name or address counts as missing.

    Source: m3ter's OpenAPI description, schema ``OrgUserResponse``.
    """
    try:
        fields = decode_record(record)
    except ConversionError as error:
        raise _not_a_user(str(error)) from None
    if not isinstance(fields, dict) or not isinstance(user_id := fields.get("id"), str):
        raise _not_a_user("it has no id")
    email, first, last = (_text(fields.get(n)) for n in ("email", "firstName", "lastName"))
    name = " ".join(filter(None, (first, last)))
    return User(user_id, name or email or user_id, email)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _not_a_user(reason: str) -> RemoteError:
    return RemoteError(
        f"m3ter's list of users has a record that is not a user: {reason}",
        "Run it again. If the error continues, contact m3ter's support.",
    )
