import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, SalesforceOrg, read_salesforce_orgs
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.salesforce_schema import Organization
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture


@pytest.mark.parametrize(
    ("org", "words"),
    [
        (SalesforceOrg("00D1", "Acme", is_sandbox=True), "Acme (00D1, sandbox)"),
        (SalesforceOrg("00D1", "Acme", is_sandbox=False), "Acme (00D1, production)"),
        (
            SalesforceOrg("00D1", None, is_sandbox=None),
            "name not known (00D1, sandbox or production: not known)",
        ),
    ],
)
def test_an_org_in_words(org: SalesforceOrg, words: str) -> None:
    assert str(org) == words
    assert org.as_dict() == {"id": org.id, "name": org.name, "is_sandbox": org.is_sandbox}


def test_each_entity_has_the_org_that_it_was_written_to_last(
    connection: psycopg.Connection,
) -> None:
    def write(integration: str, entity: str, org: str, about: Organization | None = None) -> None:
        basis = FingerprintBasis(org, "m3ter", "A__c", "Id__c")
        ledger = PostgresLedger(connection, integration, entity, "run")
        ledger.set_basis(basis, BasisChange.OTHER_PLACE, about)

    assert read_salesforce_orgs(connection) == {}
    write("acme", "account", "00D1", Organization("00D1", "Test", is_sandbox=True, instance="CS1"))
    write("acme", "contract", "00D1", Organization("00D1", "Test", is_sandbox=True, instance="CS1"))
    write("other", "account", "00D3")
    write("acme", "account", "00D2", Organization("00D2", "Acme", is_sandbox=False, instance="NA1"))
    orgs = read_salesforce_orgs(connection)
    assert orgs == {
        "acme": {
            "account": SalesforceOrg("00D2", "Acme", is_sandbox=False),
            "contract": SalesforceOrg("00D1", "Test", is_sandbox=True),
        },
        "other": {"account": SalesforceOrg("00D3", None, is_sandbox=None)},
    }
    assert [list(orgs), list(orgs["acme"])] == [["acme", "other"], ["account", "contract"]]
