"""What commands print, on terminals whose encoding lacks most characters."""

import json
import os
import subprocess

import pytest

from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.cli.processes import PROGRAM
from m3sync_dagster_tests.conftest import PATIENCE

pytestmark = pytest.mark.slow

MESSAGE = "Straße 😀 — €"
SHOWN = {
    "ascii": "Stra\\xdfe \\U0001f600 \\u2014 \\u20ac",
    "cp1252:strict": "Straße \\U0001f600 — €",
}


@pytest.fixture
def rejected(stage: Stage) -> str:
    """A record that Salesforce refuses with such a message; its m3ter id."""
    account = stage.sandbox.organization.ids("accounts")[0]
    fault = {"external_ids": [account], "code": "FIELD_CUSTOM", "message": MESSAGE}
    stage.salesforce("faults", {"rows": fault, "times": None})
    assert stage.run("run", "acme", "--entity", "account").code == 1
    return account


def printed(*arguments: str, encoding: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [PROGRAM, *arguments],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_character_that_the_terminal_lacks_is_escaped(rejected: str) -> None:
    for encoding, shown in SHOWN.items():
        codec = encoding.partition(":")[0]
        table = printed("rejects", "acme", encoding=encoding)
        assert (table.returncode, table.stderr) == (0, b"")
        assert shown in table.stdout.decode(codec)
    data = printed("rejects", "acme", "--json", encoding="ascii")
    assert (data.returncode, data.stderr) == (0, b"")
    messages = {row["m3ter_id"]: row["message"] for row in json.loads(data.stdout.decode("ascii"))}
    assert MESSAGE in messages[rejected]
