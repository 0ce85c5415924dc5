"""The endpoints for the organization's settings: one record of each type, without an id.

Source: m3ter's OpenAPI description, operations ``GetCustomField``, ``UpdateCustomFields``,
``GetOrganizationConfig`` and ``UpdateOrganizationConfig``.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.m3ter.record_endpoints import body_with, json_response
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.organization.sample_settings import SETTINGS

REQUIRED = {
    "customfields": (),
    "organizationconfig": (
        "currency",
        "dayEpoch",
        "daysBeforeBillDue",
        "monthEpoch",
        "timezone",
        "weekEpoch",
        "yearEpoch",
    ),
}
"""The fields that an update of each type must have."""


async def get_settings(request: Request) -> Response:
    """The settings as they are stored."""
    organization, path, record_id = _target(request)
    return json_response(organization.raw(path, record_id))


async def update_settings(request: Request) -> Response:
    """Replaces the settings; 409 unless the body names the current version."""
    organization, path, record_id = _target(request)
    fields = await body_with(request, REQUIRED[path])
    organization.update(path, record_id, fields)
    return json_response(organization.raw(path, record_id))


def _target(request: Request) -> tuple[Organization, str, str]:
    organization: Organization = request.app.state.organization
    path = request.url.path.rpartition("/")[2]
    return organization, path, SETTINGS[path]["id"]


ROUTES = [
    route
    for path in REQUIRED
    for route in (
        Route(f"/organizations/{{org}}/{path}", get_settings, methods=["GET"]),
        Route(f"/organizations/{{org}}/{path}", update_settings, methods=["PUT"]),
    )
]
