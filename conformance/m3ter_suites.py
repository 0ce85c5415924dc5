"""The suites of the m3ter sandbox: m3ter's SDK tests, the listed records, and Schemathesis."""

import json
from pathlib import Path

import httpx
from client_environment import FOLDER, HERE, program, sandbox, sdk_source, version_of
from outcomes import Outcome, Suite, read_junit, read_lines
from reduce_description import DESCRIPTION, Node

TEST_FILES = (
    "test_accounts.py",
    "test_authentication.py",
    "test_balances.py",
    "test_bills.py",
    "test_commitments.py",
    "test_contracts.py",
    "test_custom_fields.py",
    "test_integration_configurations.py",
    "test_organization_config.py",
    "test_users.py",
    "balances/test_transactions.py",
)
"""The SDK's tests of the resources that the sandbox serves."""
READ_TESTS = "(_list or _retrieve or _search or _summary or _get_ or _latest) and not path_params"
"""pytest's selection of the tests that only read. Those of path_params send no request."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
"""What must be true of each response; and of one to a valid request, its schema too."""
DESCRIPTION_VERSION = "OpenAPI description"


def sdk_tests() -> Suite:
    """The read tests of m3ter's own SDK, which call the sandbox with made-up ids."""
    report = FOLDER / "sdk.xml"
    folder = sdk_source() / "tests" / "api_resources"
    with sandbox("--lenient") as servers:
        done = program(
            "-m", "pytest", "-q", "-n", "2", "-k", READ_TESTS, f"--junitxml={report}",
            "--rootdir", sdk_source(), *(folder / name for name in TEST_FILES),
            TEST_API_BASE_URL=servers["M3TER_BASE_URL"],
        )  # fmt: skip
    return Suite("m3ter SDK", version_of("m3ter"), _junit(report, done.stdout))


def listed_records() -> Suite:
    """Every record that the sandbox lists, against its schema in m3ter's description."""
    with sandbox() as servers:
        done = program(HERE / "listed_records.py", DESCRIPTION, **servers)
    outcomes = read_lines(done.stdout)
    if done.returncode:
        outcomes += (Outcome("listed_records.py", done.stderr[-300:]),)
    return Suite("listed records", DESCRIPTION_VERSION, outcomes)


def valid_requests() -> Suite:
    """Generated requests that fit the description: each response must be as it says."""
    return _schemathesis("valid", "positive", f"{CHECKS},response_schema_conformance")


def invalid_requests() -> Suite:
    """Generated requests that do not fit the description.

    The sandbox accepts fields of a wrong type, so its records, and with them its responses, are
    then not as the description says: the schema of responses is not checked here.
    """
    return _schemathesis("invalid", "negative", CHECKS)


def _schemathesis(name: str, mode: str, checks: str) -> Suite:
    report, description = FOLDER / "schemathesis.xml", FOLDER / "description.json"
    with sandbox() as servers:
        whole = json.loads(DESCRIPTION.read_text())
        description.write_text(json.dumps(for_organization(whole, servers["M3TER_ORG_ID"])))
        done = program(
            "-m", "schemathesis.cli", "run", description, "--url", servers["M3TER_BASE_URL"],
            "--header", f"Authorization: Bearer {_token(servers)}", "--checks", checks,
            "--mode", mode, "--max-examples", "10", "--generation-deterministic",
            "--phases", "examples,coverage,fuzzing",
            "--report-junit-path", report, "--no-color", "--continue-on-failure",
        )  # fmt: skip
    return Suite(
        f"Schemathesis, {name} requests", version_of("schemathesis"), _junit(report, done.stdout)
    )


def for_organization(description: Node, organization_id: str) -> Node:
    """The description with one organization in its paths, whose responses may have null fields.

    m3ter's description declares no field as nullable, but m3ter's SDK accepts null in each field,
    and the texts of the description say 'or null'. The sandbox has such records.
    """
    paths = {}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            given = operation["parameters"]
            operation["parameters"] = [one for one in given if one["name"] != "orgId"]
        paths[path.replace("{orgId}", organization_id)] = operations
    for name, schema in description["components"]["schemas"].items():
        if "Request" not in name:
            _allow_null(schema)
    return description | {"paths": paths}


def _allow_null(schema: Node) -> None:
    for part in (schema, *schema.get("allOf", ())):
        properties = part.get("properties", {})
        for name, given in properties.items():
            properties[name] = {"allOf": [given], "nullable": True}


def _token(servers: dict[str, str]) -> str:
    answer = httpx.post(
        f"{servers['M3TER_BASE_URL']}/oauth/token",
        auth=(servers["M3TER_API_KEY"], servers["M3TER_API_SECRET"]),
        json={"grant_type": "client_credentials"},
    )
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def _junit(report: Path, output: str) -> tuple[Outcome, ...]:
    """The outcomes in a report; a single failure if the program wrote none."""
    try:
        text = report.read_text()
    except FileNotFoundError:
        return (Outcome("report", f"the program wrote no report: {output[-300:]}"),)
    report.unlink()
    return read_junit(text)
