"""A stand-in for m3ter's Config API, to run and test against without an m3ter organization.

It serves what the sync and the setup wizard read, lets records be changed between runs, and
misbehaves on demand. Source: m3ter's OpenAPI description and its guide 'Config API Limits'.
"""

from m3sync_dagster.sandbox.m3ter.app import create_app
from m3sync_dagster.sandbox.m3ter.token_auth import Credentials

__all__ = ["Credentials", "create_app"]
