"""An m3ter organization, as the rest of m3sync sees it."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import msgspec

from m3sync_dagster.entities import EntityType
from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.m3ter.pages import read_pages
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.record_decoder import decode_record, id_of

if TYPE_CHECKING:
    from m3sync_dagster.m3ter.client import Client
    from m3sync_dagster.m3ter.rate_limiter import Permits

PAGE_SIZE = 100
"""The most records that a page of an entity list holds."""
USER_PAGE_SIZE = 200
"""The most users that a page holds."""


class User(msgspec.Struct, frozen=True):
    """Somebody who is told of trouble. ``email`` is ``None`` where m3ter has none."""

    id: str
    name: str
    email: str | None


class M3terSource:
    """Reads from one m3ter organization: the ``Source`` of a sync.

    Nothing is asked before the first use. One token serves the whole life of an instance. Close
    it, or use it as a context manager.

    Args:
        credential: what to ask with.
        postgres_url: where requests are counted, so that all processes together stay under the
            credential's ``requests_per_second``; ``None`` counts for this instance alone.
        retries: how often a request is sent again; ``None`` leaves it at what suits a sync.
    """

    def __init__(
        self,
        credential: M3terAccessKey,
        postgres_url: str | None = None,
        retries: int | None = None,
    ) -> None:
        self._credential = credential
        self._postgres_url = postgres_url
        self._retries = retries

    @property
    def organization_id(self) -> str:
        """Id of the organization."""
        return self._credential.organization_id

    def records(
        self, entity: EntityType, account_ids: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        """List every record of a type, newest first, a page at a time.

        Accounts are asked for one by one, because m3ter does not say how many ids a request
        may hold. No ids, no request.

        Args:
            entity: the type.
            account_ids: fetch these accounts' records alone; ``None`` for everything.

        Yields:
            The raw JSON text of each record of a page. A page may be empty.

        Raises:
            SyncError: the list could not be read to its end.
        """
        query = dict(entity.query)
        if account_ids is None:
            yield from self._pages(entity.path, **query)
        else:
            for account_id in dict.fromkeys(account_ids):
                narrowed = query | {entity.account_filter: account_id}
                yield from self._pages(entity.path, **narrowed)

    def fetch(self, entity: EntityType, m3ter_id: str) -> bytes | None:
        """Ask for one record by its id.

        Each of our types has such a request, and none of them can be archived: a record that was
        deleted answers 404 from then on. Where m3ter does not know the organization, 404 may come
        for every record, so read a list first.

        Source: m3ter's OpenAPI description, ``GetAccount``, ``GetContract``, ``GetCommitment``,
        ``GetBalance``, ``GetBill``.

        Args:
            entity: the type.
            m3ter_id: the record's id.

        Returns:
            The record's JSON text, a bill's with its line items; ``None`` where m3ter says that
            the record does not exist.

        Raises:
            SyncError: m3ter did not say whether it exists.
        """
        path = f"{entity.path}/{quote(m3ter_id, safe='')}"
        record = self._client.find(path)
        if record is not None and id_of(record) != m3ter_id:
            raise RemoteError(
                f"m3ter answered {path} with something that is not this record",
                "Run it again; if it stays so, check base_url and any proxy on the way to m3ter.",
            )
        return record

    def users(self, ids: Sequence[str]) -> Iterator[User]:
        """Look up the users with these ids. One that m3ter does not know is left out.

        Raises:
            SyncError: m3ter could not be asked.
        """
        for user_id in dict.fromkeys(ids):
            pages = self._pages("users", pageSize=USER_PAGE_SIZE, ids=user_id)
            found = (_decode_user(record) for record in chain.from_iterable(pages))
            yield from (user for user in found if user.id == user_id)

    def check(self) -> None:
        """Make sure that m3ter lets us in: asks for a token and for one account.

        Raises:
            SyncError: it does not; the cause says why.
        """
        next(self._pages("accounts", pageSize=1))

    @property
    def requests(self) -> int:
        """HTTP requests sent to m3ter so far, those for a token and retries included."""
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
        return read_pages(self._client.get, path, {"pageSize": PAGE_SIZE} | query)

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
        from m3sync_dagster.m3ter.rate_limiter import (  # noqa: PLC0415 - nor psycopg
            open_permits,
        )

        return open_permits(self._credential, self._postgres_url)


def _decode_user(record: bytes) -> User:
    """Read a user; a name or an address that cannot be used is as good as none.

    Source: m3ter's OpenAPI description, schema ``OrgUserResponse``.
    """
    try:
        fields = decode_record(record)
    except ConversionError as error:
        raise _no_user(str(error)) from None
    if not isinstance(fields, dict) or not isinstance(user_id := fields.get("id"), str):
        raise _no_user("it has no id")
    email, first, last = (_text(fields.get(n)) for n in ("email", "firstName", "lastName"))
    name = " ".join(filter(None, (first, last)))
    return User(user_id, name or email or user_id, email)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _no_user(reason: str) -> RemoteError:
    return RemoteError(
        f"m3ter's list of users holds a record that is not a user: {reason}",
        "Run it again; if it stays so, tell m3ter's support.",
    )
