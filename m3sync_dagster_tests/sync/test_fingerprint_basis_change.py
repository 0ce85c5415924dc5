"""What happens to stored fingerprints when a run writes to another place than the runs before."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, SalesforceOrg, read_salesforce_orgs
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.fingerprint_basis import FingerprintBasis, describe_change
from m3sync_dagster.sync.fingerprint_basis_change import (
    apply_basis_change,
    basis_change_event,
    current_basis,
)
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import Organization
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Org, account, mapping, prepared

BASIS = FingerprintBasis("org", "m3ter", "Object__c", "Key__c")


def test_another_place_is_reported_in_words() -> None:
    stored = replace(BASIS, object_name="Old__c")
    event = basis_change_event("production", stored, BASIS)
    assert str(event).startswith(f"{describe_change('production', stored, BASIS)}: every record")
    assert "correct the credential or the integration" in event.remedy


def test_a_restored_database_is_named_in_words() -> None:
    event = basis_change_event("production", replace(BASIS, restored=True), BASIS)
    assert "the state database was restored" in str(event)
    assert "m3sync status" in event.remedy


class OrgWithoutOrganization(Org):
    def organization(self) -> Organization:
        raise RemoteError("no right to read it", "Grant it.")


class RefusingOrg(Org):
    """An org that accepts the external IDs of all records but the last."""

    def update(
        self, _object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        *accepted, refused = changes
        yield [
            *(Acknowledged(key, key, created=False) for key in accepted),
            Rejected(refused, ErrorClass.PERMANENT, "DUPLICATE_VALUE", "taken"),
        ]


def check(
    connection: psycopg.Connection, org: Org, built: FieldMapping
) -> tuple[FingerprintBasis, FingerprintBasis] | None:
    return apply_basis_change(built, Listed(), ledger(connection), org, TargetSchema(built, org))


def ledger(connection: psycopg.Connection) -> PostgresLedger:
    return PostgresLedger(connection, "acme", "account", "run")


def sync_two(connection: psycopg.Connection, org: Org) -> FieldMapping:
    built = mapping()
    for _ in prepared(connection, Listed([account("a"), account("b")]), org, built).run():
        pass
    return built


def fingerprints(connection: psycopg.Connection) -> dict[str, bool]:
    """The synced records, and whether each has a fingerprint."""
    stored = ledger(connection).acknowledged(["a", "b"])
    return {m3ter_id: bool(fingerprint) for m3ter_id, fingerprint in stored.items()}


def test_the_same_basis_keeps_fingerprints(connection: psycopg.Connection) -> None:
    org = Org()
    assert check(connection, org, sync_two(connection, org)) is None
    assert fingerprints(connection) == {"a": True, "b": True}


def test_another_org_deletes_what_is_stored_and_is_reported(connection: psycopg.Connection) -> None:
    org = Org()
    built = sync_two(connection, org)
    before = ledger(connection).basis()
    org.organization_id = "00D000000000002"
    now = current_basis(built, Listed(), org.identity())
    assert check(connection, org, built) == (before, now)
    assert ledger(connection).basis() == now
    assert fingerprints(connection) == {}


def test_another_external_id_field_is_filled_by_salesforce_id(
    connection: psycopg.Connection,
) -> None:
    org = Org()
    sync_two(connection, org)
    org.no_such = {org.ids["b"]}
    built = mapping(options=EntityOptions(external_id_field="Other_Id__c"))
    assert check(connection, org, built) is None
    ids = {org.ids[one]: {"Other_Id__c": one} for one in ("a", "b")}
    assert org.updated == [ids]
    assert fingerprints(connection) == {"a": False}  # b was deleted in Salesforce


def test_a_refused_external_id_stops_the_run_and_keeps_the_basis(
    connection: psycopg.Connection,
) -> None:
    org = RefusingOrg()
    sync_two(connection, org)
    stored = ledger(connection).basis()
    built = mapping(options=EntityOptions(external_id_field="Other_Id__c"))
    with pytest.raises(ConfigurationError) as caught:
        check(connection, org, built)
    assert str(caught.value).startswith(
        "the external ID field of account is Other_Id__c now, and Salesforce did not accept it for "
        f"the record b ({org.ids['b']}): DUPLICATE_VALUE: taken"
    )
    assert caught.value.where == ("entities", "account", "external_id_field")
    assert ledger(connection).basis() == stored


@pytest.mark.parametrize(
    ("org", "name", "is_sandbox"), [(Org(), "Acme", True), (OrgWithoutOrganization(), None, None)]
)
def test_the_org_is_stored_with_its_name_if_that_can_be_read(
    connection: psycopg.Connection, org: Org, name: str | None, is_sandbox: bool | None
) -> None:
    assert check(connection, org, mapping()) is None
    assert ledger(connection).basis() == current_basis(mapping(), Listed(), org.identity())
    found = SalesforceOrg(org.organization_id, name, is_sandbox)
    assert read_salesforce_orgs(connection) == {"acme": {"account": found}}
