"""The sandbox Salesforce org as an application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.salesforce import (
    control,
    deploys,
    exports,
    ingest,
    oauth,
    queries,
    resources,
    rows,
    tooling,
)
from m3sync_dagster.sandbox.salesforce.answers import answer
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.gate import Gate
from m3sync_dagster.sandbox.salesforce.org import Credentials, Org, Package
from m3sync_dagster.sandbox.salesforce.source import read_schema

METADATA = Path(__file__).parents[2] / "salesforce" / "metadata"
"""The metadata that this package deploys to an org."""

_DATA = "/services/data/{version}"
_OBJECT = f"{_DATA}/sobjects/{{object}}"
_RECORD = f"{_OBJECT}/{{id}}"
_KEYED = f"{_OBJECT}/{{field}}/{{value:path}}"
_INGEST = f"{_DATA}/jobs/ingest"
_QUERY_JOB = f"{_DATA}/jobs/query"

Endpoint = Callable[[Request], Any]

_ENDPOINTS: list[tuple[str, str, Endpoint]] = [
    ("POST", "/services/oauth2/token", oauth.token),
    ("GET", "/services/data", resources.versions),
    ("GET", _DATA, resources.resources),
    ("GET", f"{_DATA}/limits", resources.limits),
    ("GET", f"{_DATA}/query", queries.query),
    ("GET", f"{_DATA}/query/{{locator}}", queries.next_page),
    ("GET", f"{_DATA}/queryAll", queries.query_all),
    ("GET", f"{_DATA}/tooling/query", tooling.query),
    ("POST", f"{_DATA}/metadata/deployRequest", deploys.create),
    ("GET", f"{_DATA}/metadata/deployRequest/{{id}}", deploys.info),
    ("GET", f"{_DATA}/sobjects", resources.sobjects),
    ("GET", _OBJECT, resources.sobject),
    ("POST", _OBJECT, rows.create_record),
    ("GET", f"{_OBJECT}/describe", resources.sobject_describe),
    ("GET", _RECORD, rows.get_record),
    ("PATCH", _RECORD, rows.update_record),
    ("DELETE", _RECORD, rows.delete_record),
    ("GET", _KEYED, rows.get_by_external_id),
    ("PATCH", _KEYED, rows.upsert_by_external_id),
    ("DELETE", _KEYED, rows.delete_by_external_id),
    ("PATCH", f"{_DATA}/composite/sobjects/{{object}}/{{field}}", rows.upsert_collection),
    ("PATCH", f"{_DATA}/composite/sobjects", rows.update_collection),
    ("DELETE", f"{_DATA}/composite/sobjects", rows.delete_collection),
    ("POST", _INGEST, ingest.create),
    ("GET", _INGEST, ingest.all_jobs),
    ("GET", f"{_INGEST}/{{id}}", ingest.info),
    ("PATCH", f"{_INGEST}/{{id}}", ingest.change_state),
    ("DELETE", f"{_INGEST}/{{id}}", ingest.delete),
    ("PUT", f"{_INGEST}/{{id}}/batches", ingest.upload),
    ("GET", f"{_INGEST}/{{id}}/{{set}}", ingest.results),
    ("POST", _QUERY_JOB, exports.create),
    ("GET", f"{_QUERY_JOB}/{{id}}", exports.info),
    ("PATCH", f"{_QUERY_JOB}/{{id}}", exports.abort),
    ("DELETE", f"{_QUERY_JOB}/{{id}}", exports.delete),
    ("GET", f"{_QUERY_JOB}/{{id}}/results", exports.results),
    ("POST", "/sandbox/faults", control.add_faults),
    ("DELETE", "/sandbox/faults", control.clear_faults),
    ("GET", "/sandbox/calls", control.calls),
    ("DELETE", "/sandbox/calls", control.clear_calls),
    ("GET", "/sandbox/records/{object}", control.records),
    ("DELETE", "/sandbox/records", control.clear_records),
    ("POST", "/sandbox/schema", control.change_schema),
    ("POST", "/sandbox/setup", control.change_setup),
]


def create_app(
    metadata: Path = METADATA, prefix: str = "", credentials: Credentials | None = None
) -> Starlette:
    """An org without records. ``app.state.org`` is the ``Org`` behind it.

    Args:
        metadata: a Salesforce DX project; its objects and fields are the org's.
        prefix: the namespace of a managed package that brings them; empty for none.
        credentials: what the token endpoint accepts; the sandbox's own by default.

    Raises:
        FileNotFoundError: there is no object in the metadata.
    """
    org = Org(read_schema(metadata, prefix), credentials or Credentials())
    if prefix:
        org.packages.append(Package("m3ter Connector", prefix))
    routes = _routes()
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Gate, org=org, routes=routes)],
        exception_handlers={ApiError: _refused, HTTPException: _unknown},
        lifespan=_lifespan,
    )
    app.state.org = org
    return app


def _routes() -> list[Route]:
    """Each path with and without a slash at its end, as Salesforce takes both."""
    return [
        Route(f"{path}{end}", endpoint, methods=[method])
        for method, path, endpoint in _ENDPOINTS
        for end in ("", "/")
    ]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.org.close()


async def _refused(_: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, ApiError) else not_found()
    return answer(refusal.body(), refusal.status)


async def _unknown(request: Request, error: Exception) -> Response:
    """An address or a method that does not exist."""
    refusal = not_found()
    if isinstance(error, HTTPException) and error.status_code == 405:
        message = f"HTTP Method '{request.method}' not allowed"
        refusal = ApiError(405, "METHOD_NOT_ALLOWED", message)
    return answer(refusal.body(), refusal.status)
