"""A Salesforce user who edits records by hand, and the result of ``verify``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from m3sync_dagster_tests.cli.conftest import Stage

DATA = "/services/data/v67.0"
ACCOUNT, BALANCE, CONTRACT = "m3ter_Account__c", "m3ter_Balance__c", "m3ter_Contract__c"
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_sandbox
  salesforce_credential: salesforce_sandbox
  namespace: custom_objects
  start: 2026-01-01-00:00
  {scope}
  entities:
    account: {account}
    contract: {{}}
    balance: {balance}
"""


@dataclass
class Admin:
    """A Salesforce user who edits records by hand."""

    http: httpx.Client
    stage: "Stage"

    def id_of(self, name: str, m3ter_id: str) -> str:
        found = (r["Id"] for r in self.stage.records(name) if r["m3ter_Id__c"] == m3ter_id)
        return str(next(found))

    def edit(self, name: str, m3ter_id: str, **values: object) -> None:
        path = f"{DATA}/sobjects/{name}/{self.id_of(name, m3ter_id)}"
        self.http.patch(path, json=values).raise_for_status()

    def delete(self, name: str, m3ter_id: str) -> None:
        path = f"{DATA}/sobjects/{name}/{self.id_of(name, m3ter_id)}"
        self.http.delete(path).raise_for_status()

    def add(self, name: str, m3ter_id: str, **values: object) -> None:
        body = {"m3ter_Id__c": m3ter_id, "Name": "by hand", **values}
        self.http.post(f"{DATA}/sobjects/{name}", json=body).raise_for_status()


def counts(entity: dict[str, Any]) -> dict[str, int]:
    """The counts that are not zero, without ``equal``, calls and examples."""
    left_out = ("equal", "salesforce_api_calls", "examples")
    return {name: value for name, value in entity.items() if value and name not in left_out}


def content(stage: "Stage", name: str) -> dict[str, dict[str, Any]]:
    """Records by m3ter id, without the fields that Salesforce fills in."""
    own = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp"}
    return {
        record["m3ter_Id__c"]: {k: v for k, v in record.items() if k not in own}
        for record in stage.records(name)
    }


def identity_of(stage: "Stage") -> dict[str, Any]:
    """The sandbox's org, read without m3sync's client."""
    url, environment = stage.sandbox.salesforce_url, stage.sandbox.environment
    form = {
        "grant_type": "client_credentials",
        "client_id": environment["SALESFORCE_CLIENT_ID"],
        "client_secret": environment["SALESFORCE_CLIENT_SECRET"],
    }
    token = httpx.post(f"{url}/services/oauth2/token", data=form).json()["access_token"]
    row = httpx.get(
        f"{url}{DATA}/query",
        params={"q": "SELECT Id, Name, IsSandbox FROM Organization"},
        headers={"Authorization": f"Bearer {token}"},
    ).json()["records"][0]
    return {"id": row["Id"][:15], "name": row["Name"], "is_sandbox": row["IsSandbox"]}


def account_of(stage: "Stage", m3ter_id: str) -> dict[str, Any] | None:
    return next((r for r in stage.records(ACCOUNT) if r["m3ter_Id__c"] == m3ter_id), None)


def verified(stage: "Stage", *options: str) -> tuple[int, dict[str, Any]]:
    answer = stage.run("verify", "acme", "--json", *options)
    return answer.code, answer.json
