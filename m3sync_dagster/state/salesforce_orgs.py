"""The Salesforce orgs that integrations have written to, as stored by runs."""

from collections import defaultdict
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class SalesforceOrg:
    """An org's name and kind.

    Args:
        id: its 15-character Id.
        name: the name that its admin gave it; ``None`` if no run has stored it.
        is_sandbox: whether it is a sandbox and not production; ``None`` likewise.
    """

    id: str
    name: str | None
    is_sandbox: bool | None

    def as_dict(self) -> dict[str, object]:
        """The org as JSON."""
        return {"id": self.id, "name": self.name, "is_sandbox": self.is_sandbox}

    def __str__(self) -> str:
        kinds = {True: "sandbox", False: "production", None: "sandbox or production: not known"}
        return f"{self.name or 'name not known'} ({self.id}, {kinds[self.is_sandbox]})"


@dataclass(frozen=True, slots=True)
class _Row(SalesforceOrg):
    """An org, and one entity of an integration that is written to it."""

    integration: str
    entity: str


def read_salesforce_orgs(connection: psycopg.Connection) -> dict[str, dict[str, SalesforceOrg]]:
    """Read the org that each entity of each integration is written to, the latest change first."""
    found: dict[str, dict[str, SalesforceOrg]] = defaultdict(dict)
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        for row in cursor.execute(
            "SELECT salesforce_org_id AS id, salesforce_org_name AS name, "
            "salesforce_is_sandbox AS is_sandbox, integration, entity "
            "FROM m3sync.fingerprint_basis ORDER BY since DESC, entity"
        ):
            org = SalesforceOrg(row.id, row.name, row.is_sandbox)
            found[row.integration][row.entity] = org
    return dict(found)
