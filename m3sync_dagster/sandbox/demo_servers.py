"""Serves the sample organization and a Salesforce org, and makes sample changes."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from threading import Event

from starlette.applications import Starlette

from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running

DEFS = Path(__file__).parent / "defs"
"""The ``defs.yaml`` files of the demo's integration and credentials."""
INTEGRATION = "acme"
"""The name of the demo's integration."""
START = "M3SYNC_DEMO_START"
"""The environment variable with the integration's first hour."""
PAUSE = 30.0
"""Seconds between two sets of changes."""

_SUFFIXES = (" Ltd", " GmbH", " & Söhne", ' "Nord"', ", Inc.")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The two sandbox servers, while they run.

    Args:
        organization: the organization that the m3ter sandbox serves; it can be changed meanwhile.
        m3ter_url, salesforce_url: their base URLs.
        environment: the environment variables with the URLs and credentials of both, under the
            names that credentials read by default.
    """

    organization: Organization
    m3ter_url: str
    salesforce_url: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """What the two servers accept, and the objects of the org.

    Args:
        m3ter_credentials, salesforce_credentials: the credentials that get tokens.
        token: an access token that Salesforce accepts without a login; empty for none.
        schema: a Salesforce DX project with objects of the org, in place of m3sync's own.
        requests_per_second: the limit of the m3ter server; None for none.
        lenient: whether the m3ter server accepts made-up ids and tokens.
    """

    m3ter_credentials: m3ter.Credentials = field(default_factory=m3ter.Credentials)
    salesforce_credentials: salesforce.Credentials = field(default_factory=salesforce.Credentials)
    token: str = field(default="", repr=False)
    schema: Path = salesforce.METADATA
    requests_per_second: int | None = 50
    lenient: bool = False


@contextmanager
def serving(
    organization: Organization,
    *,
    m3ter_port: int = 0,
    salesforce_port: int = 0,
    access: Access | None = None,
) -> Iterator[Sandbox]:
    """Serve an organization and a Salesforce org without m3ter's records while the block runs.

    Besides its own objects, the org has Account and a package like m3ter's. If the organization has
    external mappings, the org has the Accounts that they name, and the lookup to Account.

    Args:
        organization: the m3ter organization.
        m3ter_port: the port of the m3ter sandbox; 0 for a free one.
        salesforce_port: the port of the Salesforce sandbox; 0 for a free one.
        access: what the servers accept; by default fixed credentials and m3sync's own objects.

    Raises:
        FileNotFoundError: the schema has no object.
        OSError: a port is in use.
    """
    access = access or Access()
    m3ter_credentials = access.m3ter_credentials
    salesforce_credentials = access.salesforce_credentials
    org = salesforce.create_app(access.schema, credentials=salesforce_credentials)
    salesforce.add_sample_objects(org.state.org)
    if access.token:
        org.state.org.sessions.add(access.token)
    if organization.count("externalmappings"):
        salesforce.add_sample_accounts(org.state.org)
        salesforce.add_account_link(org.state.org)
    with (
        running(_m3ter_app(organization, access), port=m3ter_port) as m3ter_url,
        running(org, port=salesforce_port) as salesforce_url,
    ):
        environment = {
            "M3TER_BASE_URL": m3ter_url,
            "M3TER_ORG_ID": m3ter_credentials.organization_id,
            "M3TER_API_KEY": m3ter_credentials.access_key_id,
            "M3TER_API_SECRET": m3ter_credentials.api_secret,
            "SALESFORCE_LOGIN_URL": salesforce_url,
            "SALESFORCE_CLIENT_ID": salesforce_credentials.client_id,
            "SALESFORCE_CLIENT_SECRET": salesforce_credentials.client_secret,
        }
        yield Sandbox(organization, m3ter_url, salesforce_url, environment)


def _m3ter_app(organization: Organization, access: Access) -> Starlette:
    return m3ter.create_app(
        organization,
        access.m3ter_credentials,
        requests_per_second=access.requests_per_second,
        lenient=access.lenient,
    )


def live(organization: Organization, stop: Event, pause: float = PAUSE) -> None:
    """Change a few records at each interval until ``stop`` is set."""
    rng = random.Random(7)  # noqa: S311 - sample data
    while not stop.wait(pause):
        change(organization, rng)


def change(organization: Organization, rng: random.Random) -> None:
    """Draw down three balances, which keeps their version in m3ter, and rename an account."""
    for balance in rng.sample(organization.ids("balances"), 3):
        organization.transact(balance, Decimal(-rng.randint(1, 5_000)) / 100)
    account = rng.choice(organization.ids("accounts"))
    first = str(organization.get("accounts", account).get("name") or "Acme").split()[0]
    organization.change("accounts", account, name=first + rng.choice(_SUFFIXES))
