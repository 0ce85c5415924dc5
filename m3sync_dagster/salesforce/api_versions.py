"""Checking which API versions an org supports.

Source: REST API Developer Guide, "Versions" and "API End-of-Life Policy".
"""

import msgspec
import requests

from m3sync_dagster.salesforce.responses import decode
from m3sync_dagster.sync.errors import ConfigurationError, SyncError


class _Version(msgspec.Struct):
    version: str


def unsupported_version(
    session: requests.Session, base: str, api_version: str
) -> ConfigurationError | None:
    """The error for an API version that an org does not have.

    Args:
        session: a session that is logged in.
        base: the org's URL.
        api_version: the requested version.

    Returns:
        ``None`` where the org has the version, or its versions cannot be read.
    """
    try:
        listed = decode(session.get(f"{base}/services/data"), list[_Version])
        known = sorted((each.version for each in listed), key=float)
    except (SyncError, ValueError):
        return None
    if not known or api_version in known:
        return None
    return ConfigurationError(
        f"The Salesforce org has no API version {api_version}: it has {known[0]} to {known[-1]}",
        f'Set api_version: "{known[-1]}" in the Salesforce credential.',
    )
