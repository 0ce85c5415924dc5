"""The calls of aio-sf, an asynchronous client."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aio_sf import SalesforceClient
from aio_sf.api.auth import AuthStrategy, ClientCredentialsAuth, StaticTokenAuth
from aio_sf.exporter.bulk_export import bulk_query
from calls import KEY, OBJECT, QUERY, ROWS, URL, VERSION, Call, refused, run, token

DELETED = f"SELECT Id FROM {OBJECT} WHERE IsDeleted = true"  # noqa: S608 - of constants
Use = Callable[[SalesforceClient], Awaitable[Any]]
WANTED = {"sobject_type": OBJECT}


def calls() -> Iterator[Call]:
    """All calls."""
    session = token()
    client = StaticTokenAuth(instance_url=URL, access_token=session)
    app = ClientCredentialsAuth(
        client_id=os.environ["SALESFORCE_CLIENT_ID"],
        client_secret=os.environ["SALESFORCE_CLIENT_SECRET"],
        instance_url=URL,
    )

    async def limit(salesforce: SalesforceClient) -> int:
        limits = await salesforce.describe.get_limits()
        return int(limits["DailyApiRequests"]["Max"])

    yield "ClientCredentialsAuth", lambda: use(app, limit), 100_000
    yield "describe.get_limits", lambda: use(client, limit), 100_000
    for part in (descriptions, collections, queries, query_jobs, not_served):
        for name, asked, expected in part():
            yield name, lambda asked=asked: use(client, asked), expected  # type: ignore[misc]
    expired = StaticTokenAuth(instance_url=URL, access_token="x")  # noqa: S106 - invalid
    yield "expired session", refused("401", lambda: use(expired, limit)), True


def use(auth: AuthStrategy, asked: Use) -> object:
    """What a call gives that is made with a new client."""

    async def calling() -> object:
        async with SalesforceClient(auth_strategy=auth, version=f"v{VERSION}") as client:
            return await asked(client)

    return asyncio.run(calling())


def descriptions() -> Iterator[tuple[str, Use, object]]:
    """Descriptions of objects and of the org."""

    async def described(client: SalesforceClient) -> object:
        return (await client.describe.sobject(OBJECT))["name"]

    async def listed(client: SalesforceClient) -> object:
        return OBJECT in {one["name"] for one in await client.describe.list_sobjects()}

    async def organization(client: SalesforceClient) -> object:
        return (await client.describe.get_organization_info())["IsSandbox"]

    yield "describe.sobject", described, OBJECT
    yield "describe.list_sobjects", listed, True
    yield "describe.get_organization_info", organization, True


def collections() -> Iterator[tuple[str, Use, object]]:
    """SObject Collections; more than 200 records are several requests."""
    many = [{KEY: f"many {number}", "Name": "Many"} for number in range(450)]

    async def ids(client: SalesforceClient) -> list[str]:
        where = f"WHERE {KEY} LIKE 'many %'"
        found = await client.query.soql(f"SELECT Id FROM {OBJECT} {where}")  # noqa: S608
        return [one["Id"] for one in await found.collect_all()]

    def succeeded(results: list[dict[str, Any]]) -> int:
        return sum(one["success"] is True for one in results)

    async def inserted(client: SalesforceClient) -> int:
        return succeeded(await client.collections.insert(many, **WANTED))

    async def updated(client: SalesforceClient) -> int:
        rows = [{"Id": one, "Name": "Changed"} for one in await ids(client)]
        return succeeded(await client.collections.update(rows, **WANTED))

    async def upserted(client: SalesforceClient) -> int:
        options = {"external_id_field": KEY, **WANTED}
        return succeeded(await client.collections.upsert(ROWS, **options))

    async def invalid(client: SalesforceClient) -> list[bool]:
        rows = [{KEY: "good", "Name": "Good"}, {KEY: "x" * 99, "Name": "Bad"}]
        options = {"all_or_none": False, **WANTED}
        return [one["success"] for one in await client.collections.insert(rows, **options)]

    async def deleted(client: SalesforceClient) -> int:
        return succeeded(await client.collections.delete(await ids(client)))

    yield "collections.insert", inserted, 450
    yield "collections.update", updated, 450
    yield "collections.upsert", upserted, 5
    yield "collections.upsert, again", upserted, 5
    yield "collections.insert, one invalid", invalid, [True, False]
    yield "collections.delete", deleted, 450


def queries() -> Iterator[tuple[str, Use, object]]:
    """Queries."""

    async def rows(client: SalesforceClient) -> list[str]:
        found = await client.query.soql(QUERY)
        return [one[KEY] for one in await found.collect_all()]

    async def one_by_one(client: SalesforceClient) -> int:
        return len([one async for one in await client.query.soql(QUERY)])

    async def deleted(client: SalesforceClient) -> int:
        found = await client.query.soql(DELETED, include_deleted=True)
        return len(await found.collect_all())

    async def aggregate(client: SalesforceClient) -> object:
        found = await client.query.soql(f"SELECT COUNT(Id) n FROM {OBJECT}")  # noqa: S608
        return (await found.collect_all())[0]["n"]

    async def malformed(client: SalesforceClient) -> object:
        return await client.query.soql("SELECT FROM")

    async def explained(client: SalesforceClient) -> bool:
        return bool((await client.query.explain(QUERY))["plans"])

    yield "query.soql", rows, ["good", *(one[KEY] for one in ROWS)]
    yield "query.soql, one by one", one_by_one, 6
    yield "query.soql, deleted records", deleted, 450
    yield "query.soql, aggregate", aggregate, 6
    yield "query.explain", explained, True


def query_jobs() -> Iterator[tuple[str, Use, object]]:
    """Query jobs."""

    async def executed(client: SalesforceClient) -> int:
        done = await client.bulk_v2.execute_query(QUERY, poll_interval=1)
        text, _ = await client.bulk_v2.get_job_results(done["id"])
        return text.count("\n")

    async def steps(client: SalesforceClient) -> str:
        job = await client.bulk_v2.create_job(QUERY)
        await client.bulk_v2.wait_for_job_completion(job["id"], poll_interval=1)
        return str((await client.bulk_v2.get_job_status(job["id"]))["state"])

    async def exported(client: SalesforceClient) -> int:
        found = await bulk_query(client, QUERY, poll_interval=1)
        return len([one async for one in found])

    async def all_rows(client: SalesforceClient) -> int:
        done = await client.bulk_v2.execute_query(DELETED, all_rows=True, poll_interval=1)
        text, _ = await client.bulk_v2.get_job_results(done["id"])
        return text.count("\n")

    yield "bulk_v2.execute_query", executed, 7
    yield "bulk_v2.execute_query, deleted records", all_rows, 451
    yield "bulk_v2.create_job", steps, "JobComplete"
    yield "exporter.bulk_query", exported, 6


def not_served() -> Iterator[tuple[str, Use, object]]:
    """What is no part of a sync."""

    async def found(client: SalesforceClient) -> int:
        return len(await client.query.sosl("FIND {Good}"))

    yield "query.sosl", found, 1


if __name__ == "__main__":
    run(calls())
