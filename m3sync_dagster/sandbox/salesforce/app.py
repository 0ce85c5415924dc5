"""The sandbox Salesforce org as an ASGI application."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.salesforce import (
    change_endpoints,
    collection_endpoints,
    control_endpoints,
    deploy_endpoints,
    ingest_endpoints,
    org_endpoints,
    page_endpoints,
    query_endpoints,
    query_job_endpoints,
    record_endpoints,
    token_endpoint,
    tooling_endpoints,
)
from m3sync_dagster.sandbox.salesforce.dx_source import read_schema
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.gzip_requests import CompressedRequests
from m3sync_dagster.sandbox.salesforce.http import error_response
from m3sync_dagster.sandbox.salesforce.middleware import ApiMiddleware
from m3sync_dagster.sandbox.salesforce.org import Credentials, Org, Package
from m3sync_dagster.sandbox.salesforce.org_and_user import OrgAndUser

METADATA = Path(__file__).parents[2] / "salesforce" / "metadata"
"""The Salesforce DX project that this package deploys to an org."""

_DATA = "/services/data/{version}"
_OBJECT = f"{_DATA}/sobjects/{{object}}"
_RECORD = f"{_OBJECT}/{{id}}"
_BY_EXTERNAL_ID = f"{_OBJECT}/{{field}}/{{value:path}}"
_COLLECTION = f"{_DATA}/composite/sobjects"
_INGEST = f"{_DATA}/jobs/ingest"
_QUERY_JOB = f"{_DATA}/jobs/query"

Endpoint = Callable[[Request], Awaitable[Response]]

_ENDPOINTS: list[tuple[str, str, Endpoint]] = [
    ("POST", "/services/oauth2/token", token_endpoint.token),
    ("POST", "/services/oauth2/introspect", token_endpoint.introspect),
    ("GET", "/services/oauth2/userinfo", token_endpoint.user_info),
    ("GET", "/id/{organization}/{user}", token_endpoint.identity),
    ("GET", "/services/data", org_endpoints.versions),
    ("GET", _DATA, org_endpoints.resources),
    ("GET", f"{_DATA}/limits", org_endpoints.limits),
    ("GET", f"{_DATA}/limits/recordCount", org_endpoints.record_counts),
    ("GET", f"{_DATA}/recent", org_endpoints.recent),
    ("GET", f"{_DATA}/query", query_endpoints.query),
    ("GET", f"{_DATA}/query/{{locator}}", query_endpoints.next_page),
    ("GET", f"{_DATA}/queryAll", query_endpoints.query_all),
    ("GET", f"{_DATA}/tooling/query", tooling_endpoints.query),
    ("POST", f"{_DATA}/metadata/deployRequest", deploy_endpoints.create),
    ("GET", f"{_DATA}/metadata/deployRequest/{{id}}", deploy_endpoints.info),
    ("GET", f"{_DATA}/sobjects", org_endpoints.sobjects),
    ("GET", _OBJECT, org_endpoints.sobject),
    ("POST", _OBJECT, record_endpoints.create_record),
    ("GET", f"{_OBJECT}/describe", org_endpoints.sobject_describe),
    ("GET", f"{_OBJECT}/updated", change_endpoints.updated),
    ("GET", f"{_OBJECT}/deleted", change_endpoints.deleted),
    ("GET", _RECORD, record_endpoints.get_record),
    ("PATCH", _RECORD, record_endpoints.update_record),
    ("DELETE", _RECORD, record_endpoints.delete_record),
    ("GET", _BY_EXTERNAL_ID, record_endpoints.get_by_external_id),
    ("PATCH", _BY_EXTERNAL_ID, record_endpoints.upsert_by_external_id),
    ("DELETE", _BY_EXTERNAL_ID, record_endpoints.delete_by_external_id),
    ("PATCH", f"{_COLLECTION}/{{object}}/{{field}}", collection_endpoints.upsert),
    ("GET", f"{_COLLECTION}/{{object}}", collection_endpoints.retrieve),
    ("POST", f"{_COLLECTION}/{{object}}", collection_endpoints.retrieve),
    ("POST", _COLLECTION, collection_endpoints.create),
    ("PATCH", _COLLECTION, collection_endpoints.update),
    ("DELETE", _COLLECTION, collection_endpoints.delete),
    ("POST", _INGEST, ingest_endpoints.create),
    ("GET", _INGEST, ingest_endpoints.all_jobs),
    ("GET", f"{_INGEST}/{{id}}", ingest_endpoints.info),
    ("PATCH", f"{_INGEST}/{{id}}", ingest_endpoints.change_state),
    ("DELETE", f"{_INGEST}/{{id}}", ingest_endpoints.delete),
    ("PUT", f"{_INGEST}/{{id}}/batches", ingest_endpoints.upload),
    ("GET", f"{_INGEST}/{{id}}/{{set}}", ingest_endpoints.results),
    ("POST", _QUERY_JOB, query_job_endpoints.create),
    ("GET", f"{_QUERY_JOB}/{{id}}", query_job_endpoints.info),
    ("PATCH", f"{_QUERY_JOB}/{{id}}", query_job_endpoints.abort),
    ("DELETE", f"{_QUERY_JOB}/{{id}}", query_job_endpoints.delete),
    ("GET", f"{_QUERY_JOB}/{{id}}/results", query_job_endpoints.results),
    ("GET", "/lightning/r/{object}/{id}/view", page_endpoints.record_page),
    ("GET", "/lightning/o/{object}/list", page_endpoints.list_view),
    ("POST", "/sandbox/faults", control_endpoints.add_faults),
    ("DELETE", "/sandbox/faults", control_endpoints.clear_faults),
    ("GET", "/sandbox/calls", control_endpoints.calls),
    ("DELETE", "/sandbox/calls", control_endpoints.clear_calls),
    ("GET", "/sandbox/records/{object}", control_endpoints.records),
    ("DELETE", "/sandbox/records", control_endpoints.clear_records),
    ("POST", "/sandbox/schema", control_endpoints.change_schema),
    ("POST", "/sandbox/setup", control_endpoints.change_setup),
]


def create_app(
    metadata: Path = METADATA,
    prefix: str = "",
    credentials: Credentials | None = None,
    identity: OrgAndUser | None = None,
) -> Starlette:
    """An org without records. ``app.state.org`` is its ``Org``.

    Args:
        metadata: the Salesforce DX project with the org's objects and fields.
        prefix: the namespace of the managed package that contains them; empty for none.
        credentials: the credentials that the token endpoint accepts.
        identity: the org's and the user's Ids; random by default.

    Raises:
        FileNotFoundError: the project has no object.
    """
    org = Org(read_schema(metadata, prefix), credentials or Credentials(), identity)
    if prefix:
        org.packages.append(Package("m3ter Connector", prefix))
    routes = _routes()
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(ApiMiddleware, org=org, routes=routes),
            Middleware(CompressedRequests),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
        lifespan=_lifespan,
    )
    app.state.org = org
    return app


def _routes() -> list[Route]:
    """Each path with and without a slash at its end, since Salesforce accepts both."""
    return [
        Route(f"{path}{end}", endpoint, methods=[method])
        for method, path, endpoint in _ENDPOINTS
        for end in ("", "/")
    ]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.org.close()


async def _api_error(_: Request, error: Exception) -> Response:
    return error_response(error if isinstance(error, ApiError) else not_found())


async def _http_error(request: Request, error: Exception) -> Response:
    """The response for an unknown path or method."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        message = f"HTTP Method '{request.method}' not allowed"
        return error_response(ApiError(405, "METHOD_NOT_ALLOWED", message))
    return error_response(not_found())
