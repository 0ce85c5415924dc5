"""Checks every record that the m3ter sandbox lists against its schema in the description.

Run in ``.conformance``: ``listed_records.py DESCRIPTION``. It prints one outcome a line.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

SCHEMAS = {
    "accounts": "AccountResponse",
    "contracts": "ContractResponse",
    "commitments": "CommitmentResponse",
    "balances": "BalanceResponse",
    "bills": "BillResponse",
    "users": "OrgUserResponse",
    "integrationconfigs": "IntegrationConfigResponse",
}
"""The schema of each type of record."""


def main() -> None:
    """Check the records of all types, the balances' transactions and the settings."""
    components = json.loads(Path(sys.argv[1]).read_text())["components"]
    with httpx.Client(base_url=os.environ["M3TER_BASE_URL"], timeout=60) as client:
        _log_in(client)
        for entity, schema in SCHEMAS.items():
            records = list(_listed(client, entity))
            _check(components, entity, schema, records)
            if entity == "balances":
                for record in records:
                    path = f"balances/{record['id']}/transactions"
                    transactions = list(_listed(client, path))
                    _check(components, path, "BalanceTransactionResponse", transactions)
        for path, schema in (
            ("customfields", "CustomFieldResponse"),
            ("organizationconfig", "OrganizationConfigResponse"),
        ):
            _check(components, path, schema, [_get(client, path, None)])


def _log_in(client: httpx.Client) -> None:
    credentials = (os.environ["M3TER_API_KEY"], os.environ["M3TER_API_SECRET"])
    grant = {"grant_type": "client_credentials"}
    answer = client.post("/oauth/token", auth=credentials, json=grant).raise_for_status()
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"


def _listed(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    token = None
    while True:
        page = _get(client, path, token)
        yield from page["data"]
        token = page.get("nextToken")
        if not token:
            return


def _get(client: httpx.Client, path: str, token: str | None) -> Any:  # noqa: ANN401 - any JSON
    query = {"nextToken": token} if token else {}
    full = f"/organizations/{os.environ['M3TER_ORG_ID']}/{path}"
    return client.get(full, params=query).raise_for_status().json()


def _check(components: Any, path: str, name: str, records: list[dict[str, Any]]) -> None:  # noqa: ANN401
    """Print the outcome of each record, and of the type: whether no field is null."""
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
    validator = jsonschema_rs.Draft4Validator(schema, validate_formats=True)
    null_fields: set[str] = set()
    for record in records:
        given = _without_nulls(record, null_fields)
        error = next((one.message for one in validator.iter_errors(given)), None)
        _print(f"{path}/{record['id']}", error)
    if path in SCHEMAS:
        _print(f"{path}: no field is null", ", ".join(sorted(null_fields)) or None)


def _without_nulls(value: Any, null_fields: set[str]) -> Any:  # noqa: ANN401 - any JSON
    """A copy without the fields that are null, whose names are added to a set."""
    if isinstance(value, list):
        return [_without_nulls(one, null_fields) for one in value]
    if not isinstance(value, dict):
        return value
    null_fields |= {name for name, one in value.items() if one is None}
    return {
        name: _without_nulls(one, null_fields) for name, one in value.items() if one is not None
    }


def _print(test: str, error: str | None) -> None:
    print(json.dumps({"test": test, "error": error}))


if __name__ == "__main__":
    main()
