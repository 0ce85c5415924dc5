"""One mistake has one exit code and one wording, whichever command meets it; nothing is sent."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

pytestmark = pytest.mark.slow

ACME = (DEFS / "acme" / "defs.yaml").read_text()
COMMANDS = (["check", "acme"], ["plan", "acme"], ["run", "acme"])


@dataclass(frozen=True)
class Mistake:
    """A mistake, and what every command says of it.

    Args:
        words: a part of the message, and of its remedy.
        code: the exit code.
        yaml: a text of the integration's file, and what is written in its place.
        variable: an environment variable, and its value; ``None``: unset.
        org: a change of the org's schema.
    """

    words: tuple[str, ...]
    code: int = 2
    yaml: tuple[str, str] = ("", "")
    variable: tuple[str, str | None] = ("", None)
    org: dict[str, object] | None = None


FIELD = {"object": ACCOUNT, "field": "Code__c"}
MISTAKES: dict[str, Mistake] = {
    "a mistyped attribute": Mistake(
        ("there is no attribute namespaze here; did you mean namespace?",),
        yaml=("namespace:", "namespaze:"),
    ),
    "an attribute that is nothing like another": Mistake(
        ("there is no attribute colour here. There are: name, m3ter_credential,",),
        yaml=("namespace:", "colour:"),
    ),
    "a mistyped option of an entity": Mistake(
        ("there is no attribute object_name here; did you mean object?",),
        yaml=("account: {}", "account: {object_name: X__c}"),
    ),
    "a mistyped entity": Mistake(
        ("there is no attribute acount here; did you mean account?",),
        yaml=("account: {}", "acount: {}"),
    ),
    "a mistyped type": Mistake(
        ("defs.yaml:2, type: there is no component m3sync_dagster.SalesforceSink; did you mean",),
        yaml=("SalesforceSync", "SalesforceSink"),
    ),
    "no YAML": Mistake(
        ("defs.yaml:6: expected",), yaml=("  m3ter_credential: ", "  m3ter_credential: [")
    ),
    "an unknown namespace": Mistake(
        ("Input should be 'custom_objects'",), yaml=("custom_objects", "own_objects")
    ),
    "no Salesforce credential": Mistake(
        ("NOT CONNECTED", "Run: m3sync connect acme CREDENTIAL."),
        yaml=("  salesforce_credential: salesforce_sandbox\n", ""),
    ),
    "an unknown credential": Mistake(
        ("there is no M3terCredential of the name m3ter_sandbocks",),
        yaml=("m3ter_sandbox", "m3ter_sandbocks"),
    ),
    "a start that is no hour": Mistake(
        ("'2026-01-01' is not the start of an hour", "Write it as 2026-01-31-00:00, in UTC."),
        yaml=("\"{{ env('M3SYNC_DEMO_START') }}\"", "'2026-01-01'"),
    ),
    "a field that is mapped twice": Mistake(
        ("is mapped twice", "Map one of them to another Salesforce field, or to null."),
        yaml=("account: {}", "account: {custom_field_mappings: {tier: Code__c}}"),
    ),
    "a package that is not known": Mistake(
        ("the prefix of m3ter's managed package is not known",),
        yaml=("custom_objects", "m3ter_connector"),
    ),
    "a missing variable": Mistake(
        ("the environment variable SALESFORCE_CLIENT_ID,", "is not set"),
        variable=("SALESFORCE_CLIENT_ID", None),
    ),
    "a field that the org does not have": Mistake(
        ("has no field Code__c",), org={**FIELD, "remove": True}
    ),
    "a field of another type": Mistake(("Code__c",), org={**FIELD, "set": {"type": "Checkbox"}}),
    "an external ID field that is none": Mistake(
        ("m3ter_Id__c", "External ID"),
        org={"object": ACCOUNT, "field": "m3ter_Id__c", "set": {"external_id": False}},
    ),
    "an object that the org does not have": Mistake(
        ("m3ter_Acount__c",), yaml=("account: {}", "account: {object: m3ter_Acount__c}")
    ),
    "an m3ter organization that does not exist": Mistake(
        ("m3ter",), code=1, variable=("M3TER_ORG_ID", "another-organization")
    ),
    "a wrong m3ter secret": Mistake(
        ("Check the access key id and the API secret of the m3ter credential.",),
        code=1,
        variable=("M3TER_API_SECRET", "wrong"),
    ),
    "a wrong Salesforce secret": Mistake(
        ("Check the client id, client secret and login URL against the app",),
        code=1,
        variable=("SALESFORCE_CLIENT_SECRET", "wrong"),
    ),
    "an m3ter that does not answer": Mistake(
        ("m3ter", "Connection refused"), code=1, variable=("M3TER_BASE_URL", "http://127.0.0.1:9")
    ),
    "a Salesforce that does not answer": Mistake(
        ("Salesforce", "Connection refused"),
        code=1,
        variable=("SALESFORCE_LOGIN_URL", "http://127.0.0.1:9"),
    ),
    "an address without encryption": Mistake(
        ("https",), variable=("M3TER_BASE_URL", "http://api.m3ter.com")
    ),
}


@pytest.fixture(autouse=True)
def _brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hardly at all before a request is sent again: a server that is not there stays away."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture
def make(stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mistake], None]:
    """Makes a mistake."""

    def make_it(mistake: Mistake) -> None:
        old, new = mistake.yaml
        assert old in ACME
        write(defs, "acme", ACME.replace(old, new, 1) if old else ACME)
        name, value = mistake.variable
        if value is not None:
            monkeypatch.setenv(name, value)
        elif name:
            monkeypatch.delenv(name)
        if mistake.org:
            stage.salesforce("schema", mistake.org)

    return make_it


@pytest.mark.parametrize("kind", MISTAKES)
def test_every_command_says_the_same(
    stage: Stage, make: Callable[[Mistake], None], kind: str
) -> None:
    mistake = MISTAKES[kind]
    make(mistake)
    for command in COMMANDS:
        answer = stage.run(*command)
        said = " ".join((answer.out + answer.err).split())
        assert (command[0], answer.code) == (command[0], mistake.code), said
        for words in mistake.words:
            assert words in said, command
        assert "Traceback" not in said
    assert stage.records(ACCOUNT) == []


def test_what_a_command_has_seen_of_the_org_stops_a_run_that_has_nothing_to_send(
    stage: Stage, make: Callable[[Mistake], None]
) -> None:
    """An hour without changes reads no describe, but uses those that were read since."""
    make(Mistake(()))
    assert stage.run("run", "acme", "--entity", "account").code == 0
    make(MISTAKES["a field that the org does not have"])
    for command in (["check", "acme"], ["run", "acme", "--entity", "account"]):
        answer = stage.run(*command)
        assert (command[0], answer.code) == (command[0], 2), answer.out + answer.err
        assert "has no field Code__c" in " ".join((answer.out + answer.err).split())
