"""What happens to stored fingerprints when a run writes to another place than the runs before."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.fingerprint_basis import (
    BasisChange,
    FingerprintBasis,
    compare,
    describe_change,
)
from m3sync_dagster.sync.fingerprint_basis_change import (
    apply_basis_change,
    basis_change_event,
    current_basis,
)
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import Organization
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Org, account, mapping, prepared

BASIS = FingerprintBasis("org", "m3ter", "Object__c", "Key__c")


@pytest.mark.parametrize(
    ("stored", "change"),
    [
        (None, BasisChange.UNKNOWN),
        (BASIS, BasisChange.NONE),
        (FingerprintBasis("org", "m3ter", "OBJECT__C", "KEY__C"), BasisChange.NONE),
        (FingerprintBasis("another", "m3ter", "Object__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "another", "Object__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "m3ter", "Another__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "m3ter", "Object__c", "Another__c"), BasisChange.OTHER_KEY),
        (FingerprintBasis("another", "m3ter", "Object__c", "Another__c"), BasisChange.OTHER_PLACE),
        (replace(BASIS, restored=True), BasisChange.OTHER_DATABASE),
        (replace(BASIS, external_id_field="Old__c", restored=True), BasisChange.OTHER_KEY),
        (replace(BASIS, object_name="Old__c", restored=True), BasisChange.OTHER_PLACE),
    ],
)
def test_changes_of_the_basis(stored: FingerprintBasis | None, change: BasisChange) -> None:
    assert compare(stored, BASIS) is change


def test_a_change_in_words_names_what_has_changed() -> None:
    stored = FingerprintBasis("old org", "m3ter", "Old__c", "Key__c")
    words = describe_change("production", stored, BASIS)
    assert "production is org, until now it was old org" in words
    assert "object is Object__c, until now it was Old__c" in words
    assert "m3ter organization" not in words
    assert str(basis_change_event("production", stored, BASIS)).startswith(words)


def test_a_restored_database_is_named_in_words() -> None:
    event = basis_change_event("production", replace(BASIS, restored=True), BASIS)
    assert "the state database was restored" in str(event)
    assert "m3sync status" in event.remedy


class OrgWithoutOrganization(Org):
    def organization(self) -> Organization:
        raise RemoteError("no right to read it", "Grant it.")


class RefusingOrg(Org):
    def update(
        self, _object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        yield [Rejected(key, ErrorClass.PERMANENT, "DUPLICATE_VALUE", "taken") for key in changes]


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
    sync_two(connection, Org())
    stored = ledger(connection).basis()
    built = mapping(options=EntityOptions(external_id_field="Other_Id__c"))
    with pytest.raises(ConfigurationError, match="did not accept it for the record") as caught:
        check(connection, RefusingOrg(), built)
    assert caught.value.where == ("entities", "account", "external_id_field")
    assert ledger(connection).basis() == stored


def test_an_org_whose_name_cannot_be_read_is_stored_without_it(
    connection: psycopg.Connection,
) -> None:
    org = OrgWithoutOrganization()
    assert check(connection, org, mapping()) is None
    assert ledger(connection).basis() == current_basis(mapping(), Listed(), org.identity())
