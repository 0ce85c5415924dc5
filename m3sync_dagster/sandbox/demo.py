"""The sample organization and an empty Salesforce org, served together, and a day's changes."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Event

from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running

DEFS = Path(__file__).parent / "defs"
"""The ``defs.yaml`` files of the demo's integration and credentials."""
INTEGRATION = "acme"
"""The name of the demo's integration."""
START = "M3SYNC_DEMO_START"
"""The environment variable from which the integration takes its first hour."""
PAUSE = 30.0
"""Seconds between two rounds of changes."""

_SUFFIXES = (" Ltd", " GmbH", " & Söhne", ' "Nord"', ", Inc.")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The two stand-ins, while they run.

    Args:
        organization: what the stand-in for m3ter serves; it may be changed meanwhile.
        m3ter_url, salesforce_url: where they answer.
        environment: the environment variables that open both, under the names that credentials
            read where their YAML names no others.
    """

    organization: Organization
    m3ter_url: str
    salesforce_url: str
    environment: dict[str, str]


@contextmanager
def serving(
    organization: Organization, *, m3ter_port: int = 0, salesforce_port: int = 0
) -> Iterator[Sandbox]:
    """Serve an organization and an empty Salesforce org for as long as the block lasts.

    Args:
        organization: m3ter's side.
        m3ter_port: where m3ter's stand-in listens; 0 takes a free port.
        salesforce_port: the same for Salesforce's.

    Raises:
        OSError: a port is taken.
    """
    opens_m3ter, opens_salesforce = m3ter.Credentials(), salesforce.Credentials()
    with (
        running(m3ter.create_app(organization, opens_m3ter), port=m3ter_port) as m3ter_url,
        running(
            salesforce.create_app(credentials=opens_salesforce), port=salesforce_port
        ) as salesforce_url,
    ):
        environment = {
            "M3TER_BASE_URL": m3ter_url,
            "M3TER_ORG_ID": opens_m3ter.organization_id,
            "M3TER_API_KEY": opens_m3ter.access_key_id,
            "M3TER_API_SECRET": opens_m3ter.api_secret,
            "SALESFORCE_LOGIN_URL": salesforce_url,
            "SALESFORCE_CLIENT_ID": opens_salesforce.client_id,
            "SALESFORCE_CLIENT_SECRET": opens_salesforce.client_secret,
        }
        yield Sandbox(organization, m3ter_url, salesforce_url, environment)


def live(organization: Organization, stop: Event, pause: float = PAUSE) -> None:
    """Change a few records now and then, as any day does, until told to stop."""
    chance = random.Random(7)  # noqa: S311 - sample data
    while not stop.wait(pause):
        change(organization, chance)


def change(organization: Organization, chance: random.Random) -> None:
    """Draw three balances down, which m3ter gives no new version for, and rename an account."""
    for balance in chance.sample(organization.ids("balances"), 3):
        organization.transact(balance, Decimal(-chance.randint(1, 5_000)) / 100)
    account = chance.choice(organization.ids("accounts"))
    first = str(organization.get("accounts", account).get("name") or "Acme").split()[0]
    organization.change("accounts", account, name=first + chance.choice(_SUFFIXES))
