"""Mistakes in a ``defs.yaml``, as the commands report them; nothing is sent."""

from collections.abc import Callable

import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow

Write = Callable[..., None]

MISTAKES = [
    ("{constants: {Region__c: NO}}", "YAML reads NO as false. Put it in quotes, 'NO'"),
    ("{constants: {Region__c: 1.10}}", "YAML reads 1.10 as 1.1. Put it in quotes, '1.10'"),
    ("{constants: {Fixed__c: 12}}", "12 without quotes in the YAML"),
    ("{constants: {Fixed__c: true}}", "Put it in quotes: 'true'."),
    ("{fields: {code: code__C}}", "has no field code__C; did you mean Code__c?"),
    ("{constants: {fixed__C: x}}", "has no field fixed__C; did you mean Fixed__c?"),
    ("{constants: {RecordType.DeveloperName: Customer}}", "RecordTypeId"),
    ("{constants: {Fixed__c: a, Fixed__c: b}}", "Fixed__c is in line 10 and again in line 10"),
    ("{constnats: {Fixed__c: a}}", "did you mean constants?"),
    ("{mask: [emailAddress]}", "emailAddress cannot be masked"),
    ("{mask: Email_Address__c}", "account.mask"),
]


@pytest.fixture
def org(stage: Stage) -> Stage:
    """Accounts that have one more text field."""
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Fixed__c", "set": {"type": "Text"}})
    return stage


@pytest.mark.parametrize(("account", "words"), MISTAKES)
def test_a_mistake_is_reported_by_every_command_and_nothing_is_sent(
    org: Stage, integration: Write, account: str, words: str
) -> None:
    integration(account=account)
    for command in ("check", "plan", "run"):
        answer = org.run(command, "acme")
        assert answer.code != 0
        # A table breaks long lines between words.
        assert words in " ".join((answer.out + answer.err).split())
    assert org.records(ACCOUNT) == []


def test_what_is_written_in_quotes_arrives_as_it_is_written(org: Stage, integration: Write) -> None:
    integration(account="{constants: {Fixed__c: 'NO'}}")
    assert org.run("run", "acme").code == 0
    assert {record["Fixed__c"] for record in org.records(ACCOUNT)} == {"NO"}


def test_an_object_may_be_named_in_any_case(org: Stage, integration: Write) -> None:
    integration(account="{object: M3TER_account__C}")
    assert org.run("check", "acme").code == 0
    assert org.run("run", "acme").code == 0
    assert len(org.records(ACCOUNT)) == 6
    assert org.run("verify", "acme").code == 0
