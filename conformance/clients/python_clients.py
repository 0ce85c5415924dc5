"""Calls that Python clients of Salesforce make, against the sandbox.

Run in ``.conformance``: ``python_clients.py CLIENT``. It prints one outcome a line. The clients'
own tests need an org with a user's password or with objects of their authors, so these are the same
calls with m3sync's objects.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator

import httpx

ACCOUNT, KEY, VERSION = "m3ter_Account__c", "m3ter_Id__c", "67.0"
ROWS = [{KEY: f"row {number}", "Name": f"Näme, {number}"} for number in range(5)]
RENAMED = {"Name": ROWS[0]["Name"]}
URL = os.environ["SALESFORCE_LOGIN_URL"]
QUERY = f"SELECT {KEY}, Name FROM {ACCOUNT} ORDER BY {KEY}"  # noqa: S608 - of constants
Call = tuple[str, Callable[[], object], object]
"""A test: its name, a call, and what the call must give."""


def token() -> str:
    """A session, by the client credentials flow."""
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["SALESFORCE_CLIENT_ID"],
        "client_secret": os.environ["SALESFORCE_CLIENT_SECRET"],
    }
    answer = httpx.post(f"{URL}/services/oauth2/token", data=form)
    session: str = answer.raise_for_status().json()["access_token"]
    return session


def simple_salesforce() -> Iterator[Call]:
    """simple-salesforce makes https of every URL, so its URLs are set after that."""
    from simple_salesforce.api import Salesforce

    client = Salesforce(instance_url=URL, session_id=token(), version=VERSION)
    client.base_url = f"{URL}/services/data/v{VERSION}/"
    client.bulk2_url = f"{client.base_url}jobs/"
    account = getattr(client, ACCOUNT)
    account.base_url = f"{client.base_url}sobjects/{ACCOUNT}/"
    bulk = getattr(client.bulk2, ACCOUNT)

    def rows() -> list[dict[str, str]]:
        records = client.query_all(QUERY)["records"]
        return [{name: one[name] for name in (KEY, "Name")} for one in records]

    def load() -> int:
        done = bulk.upsert(records=ROWS, external_id_field=KEY, wait=0.1)
        return sum(int(one["numberRecordsProcessed"]) for one in done)

    yield "describe global", lambda: ACCOUNT in _names(client.describe()), True
    yield "describe object", lambda: account.describe()["name"], ACCOUNT
    yield "limits", lambda: "DailyApiRequests" in client.limits(), True
    yield "bulk2 upsert", load, len(ROWS)
    yield "query all", rows, ROWS
    yield "upsert of an existing record", lambda: account.upsert(f"{KEY}/row 0", RENAMED), 200
    yield "upsert of a new record", lambda: account.upsert(f"{KEY}/new", {"Name": "New"}), 201
    yield "get by external ID", lambda: account.get_by_custom_id(KEY, "new")["Name"], "New"
    yield "bulk2 query", lambda: len(list(bulk.query(QUERY, wait=0.1))), 1


def kinetic_core() -> Iterator[Call]:
    """kinetic-core: one record at a time, and ingest jobs."""
    from kinetic_core.bulk.client import BulkV2Client
    from kinetic_core.core.client import SalesforceClient
    from kinetic_core.core.session import SalesforceSession

    session = SalesforceSession(URL, token(), api_version=f"v{VERSION}")
    client, bulk = SalesforceClient(session), BulkV2Client(session)
    yield "list objects", lambda: ACCOUNT in _names({"sobjects": client.list_objects()}), True
    yield "describe object", lambda: client.describe(ACCOUNT)["name"], ACCOUNT
    yield "bulk upsert", lambda: bulk.upsert(ACCOUNT, ROWS, KEY).success_count, len(ROWS)
    yield "query", lambda: [one[KEY] for one in client.query(QUERY)], [one[KEY] for one in ROWS]
    yield "query one", lambda: (client.query_one(QUERY) or {})["Name"], ROWS[0]["Name"]
    yield "upsert", lambda: bool(client.upsert(ACCOUNT, KEY, "new", {"Name": "New"})), True
    yield "bulk query", lambda: len(bulk.query(QUERY).records), len(ROWS) + 1


def aio_sf() -> Iterator[Call]:
    """aio-sf: an asynchronous client."""
    from aio_sf import SalesforceClient
    from aio_sf.api.auth import StaticTokenAuth

    session = token()

    def run(call: Callable[[SalesforceClient], object]) -> object:
        async def calling() -> object:
            auth = StaticTokenAuth(instance_url=URL, access_token=session)
            async with SalesforceClient(auth_strategy=auth, version=f"v{VERSION}") as client:
                return await call(client)  # type: ignore[misc]

        return asyncio.run(calling())

    async def rows(client: SalesforceClient) -> list[str]:
        found = await client.query.soql(QUERY)
        return [one[KEY] for one in await found.collect_all()]

    async def described(client: SalesforceClient) -> str:
        name: str = (await client.describe.sobject(ACCOUNT))["name"]
        return name

    async def upserted(client: SalesforceClient) -> list[bool]:
        options = {"external_id_field": KEY, "sobject_type": ACCOUNT}
        return [one["success"] for one in await client.collections.upsert(ROWS, **options)]

    yield "describe object", lambda: run(described), ACCOUNT
    yield "collections upsert", lambda: run(upserted), [True] * len(ROWS)
    yield "query", lambda: run(rows), [one[KEY] for one in ROWS]


def _names(described: object) -> set[str]:
    assert isinstance(described, dict)  # noqa: S101 - for the type checker
    return {one["name"] for one in described["sobjects"]}


def main() -> None:
    """Make the calls of one client, in their order."""
    clients = {one.__name__: one for one in (simple_salesforce, kinetic_core, aio_sf)}
    for name, call, expected in clients[sys.argv[1]]():
        try:
            given = call()
            error = None if given == expected else f"{given!r} in place of {expected!r}"
        except Exception as problem:  # noqa: BLE001 - whatever fails is the outcome
            error = f"{type(problem).__name__}: {problem}"[:300]
        print(json.dumps({"test": name, "error": error}))


if __name__ == "__main__":
    main()
