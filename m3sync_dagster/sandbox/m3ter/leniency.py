"""Lenient mode, for test suites that call the API with made-up ids, such as those of m3ter's SDKs.

A lenient sandbox accepts every token, access key and organization id. An unknown record id gives
the newest record of the type, and lists and searches ignore their filters and positions.
"""

from starlette.requests import Request

from m3sync_dagster.sandbox.organization import Organization


def is_lenient(request: Request) -> bool:
    """Whether the sandbox is in lenient mode."""
    lenient: bool = request.app.state.lenient
    return lenient


def record_id(request: Request, entity: str) -> str:
    """The id in the request's path; empty if it has none, as for a new record."""
    organization: Organization = request.app.state.organization
    given: str = request.path_params.get("id", "")
    if not (given and is_lenient(request)):
        return given
    known = organization.ids(entity)
    return given if given in known or not known else known[-1]
