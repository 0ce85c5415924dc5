"""A sandbox of m3ter's Config API, to run and test the sync without an m3ter organization.

It serves the routes that the sync and ``m3sync import`` read, and others of the same records. In
lenient mode it accepts made-up ids. Its control endpoints change records and add fault rules.

Source: m3ter's OpenAPI description and its guide 'Config API Limits'.
"""

from m3sync_dagster.sandbox.m3ter.app import create_app
from m3sync_dagster.sandbox.m3ter.token_auth import Credentials

__all__ = ["Credentials", "create_app"]
