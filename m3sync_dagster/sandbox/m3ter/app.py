"""The m3ter sandbox as an ASGI application: m3ter's routes and the control endpoints."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from m3sync_dagster.sandbox.m3ter import (
    control_endpoints,
    line_item_endpoints,
    list_endpoints,
    record_endpoints,
    search_endpoints,
    settings_endpoints,
    transaction_endpoints,
)
from m3sync_dagster.sandbox.m3ter.call_log import CallLog, CallRecorder
from m3sync_dagster.sandbox.m3ter.errors import EXCEPTION_HANDLERS
from m3sync_dagster.sandbox.m3ter.faults import FaultInjection, Faults
from m3sync_dagster.sandbox.m3ter.rate_limiter import RateLimit
from m3sync_dagster.sandbox.m3ter.token_auth import Authorization, Credentials, Tokens, issue_token
from m3sync_dagster.sandbox.organization import Organization


def create_app(
    organization: Organization,
    credentials: Credentials,
    *,
    requests_per_second: int | None = 50,
    lenient: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """An application for one organization.

    Args:
        organization: the organization to serve; it can be changed while the server runs.
        credentials: the only access key that gets tokens.
        requests_per_second: m3ter allows 50 per organization (guide 'Config API Limits');
            None for no limit.
        lenient: whether made-up ids and tokens are accepted, see ``leniency``.
        clock: gives seconds, for the limit and for the expiry of tokens.
    """
    tokens, faults, calls = Tokens(clock), Faults(), CallLog()
    middleware = [Middleware(CallRecorder, calls)]
    if requests_per_second is not None:
        middleware.append(Middleware(RateLimit, requests_per_second, clock))
    middleware += [
        Middleware(FaultInjection, faults, organization, tokens),
        Middleware(Authorization, tokens, credentials, lenient=lenient),
    ]
    app = Starlette(
        routes=[
            Mount("/sandbox", routes=control_endpoints.ROUTES),
            Mount("/", routes=_api_routes(), middleware=middleware),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.organization, app.state.credentials = organization, credentials
    app.state.lenient = lenient
    app.state.tokens, app.state.faults, app.state.calls = tokens, faults, calls
    return app


def _api_routes() -> list[Route]:
    records_path = "/organizations/{org}/{entity}"
    return [
        Route("/oauth/token", issue_token, methods=["POST"]),
        *settings_endpoints.ROUTES,
        *search_endpoints.ROUTES,
        *transaction_endpoints.ROUTES,
        *line_item_endpoints.ROUTES,
        Route(
            "/organizations/{org}/accounts/{id}/children",
            list_endpoints.list_children,
            methods=["GET"],
        ),
        Route(records_path, list_endpoints.list_records, methods=["GET"]),
        Route(records_path, record_endpoints.create_record, methods=["POST"]),
        Route(f"{records_path}/{{id}}", record_endpoints.get_record, methods=["GET"]),
        Route(f"{records_path}/{{id}}", record_endpoints.update_record, methods=["PUT"]),
        Route(f"{records_path}/{{id}}", record_endpoints.delete_record, methods=["DELETE"]),
    ]
