"""The metadata of a sync: columns, counts and links."""

import dagster as dg
import pytest

from m3sync_dagster.components.sync_metadata import LONGEST_NAMES, SyncedObject, sync_metadata
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.salesforce import OrgLinks
from m3sync_dagster.state import WrittenRow
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

OBJECT = "m3ter_Account__c"
LINKS = OrgLinks("https://acme.my.salesforce.com")
OPTIONS = EntityOptions(custom_field_mappings={"tier": "Tier__c"}, constants={"Source__c": "m3ter"})
MAPPING = build_mapping(ENTITIES["account"], {"account": OPTIONS}, "")
DESCRIBED = SalesforceObject(
    OBJECT,
    "Account",
    {
        field.name: field
        for field in (
            SalesforceField("m3ter_Id__c", "string", length=64),
            SalesforceField("Code__c", "string", length=255),
            SalesforceField("Parent_Account__c", "reference", length=18),
            SalesforceField("Days_Before_Bill_Due__c", "double", precision=18, scale=0),
            SalesforceField("Tier__c", "picklist", length=40),
        )
    },
)


def columns(synced: SyncedObject) -> dict[str, tuple[str, str | None]]:
    """Each column's type and description."""
    value = sync_metadata(synced, [])["dagster/column_schema"]
    assert isinstance(value, dg.TableSchemaMetadataValue)
    return {column.name: (column.type, column.description) for column in value.schema.columns}


@pytest.mark.parametrize(
    ("field", "type_and_source"),
    [
        ("m3ter_Id__c", ("string(64)", "m3ter's id, the external ID")),
        ("Name", ("not known", "first of m3ter's name, code, id")),
        ("Code__c", ("string(255)", "m3ter's code")),
        ("Locality__c", ("not known", "m3ter's address.locality")),
        ("Days_Before_Bill_Due__c", ("double(18, 0)", "m3ter's daysBeforeBillDue")),
        ("Tier__c", ("picklist(40)", "m3ter's customFields.tier")),
        ("Source__c", ("not known", "a constant of the integration")),
    ],
)
def test_each_column_has_its_type_and_its_source(
    field: str, type_and_source: tuple[str, str]
) -> None:
    found = columns(SyncedObject(MAPPING, LINKS, DESCRIBED))
    assert found[field] == type_and_source
    assert list(found) == [MAPPING.external_id_field, *MAPPING.columns]


def test_without_a_describe_no_type_is_known() -> None:
    assert {kind for kind, _ in columns(SyncedObject(MAPPING, LINKS)).values()} == {"not known"}


def test_the_number_of_records_and_the_list_view() -> None:
    metadata = sync_metadata(SyncedObject(MAPPING, LINKS, DESCRIBED, 7), [])
    assert metadata["dagster/row_count"] == 7
    assert metadata["salesforce_list_view"] == dg.MetadataValue.url(LINKS.list_view(OBJECT))
    assert "rejects" not in metadata


def test_a_reject_that_is_in_salesforce_has_a_link() -> None:
    rejected = [
        Rejected(key, ErrorClass.PERMANENT, "DUPLICATE_VALUE", "taken", ("Code__c",))
        for key in ("there", "not-there")
    ]
    synced = SyncedObject(MAPPING, LINKS, DESCRIBED, 1, {"there": "a00000000000001AAA"})
    table = sync_metadata(synced, rejected)["rejects"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {row.data["m3ter_id"]: row.data["salesforce_url"] for row in table.records} == {
        "there": LINKS.record(OBJECT, "a00000000000001AAA"),
        "not-there": "",
    }


def test_a_message_of_salesforce_is_text_and_not_markup_or_a_link() -> None:
    hostile = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![](https://evil.example/)"
    rejected = [Rejected(hostile, ErrorClass.PERMANENT, hostile, hostile, (hostile,))]
    synced = SyncedObject(MAPPING, LINKS, DESCRIBED, 1, {hostile: hostile})
    metadata = sync_metadata(synced, rejected)
    kinds = {type(value) for value in metadata.values()}
    assert dg.MarkdownMetadataValue not in kinds
    assert dg.UrlMetadataValue in kinds
    table = metadata["rejects"]
    assert isinstance(table, dg.TableMetadataValue)
    (row,) = table.records
    assert row.data["message"] == hostile
    url = str(row.data["salesforce_url"])
    assert url.startswith("https://acme.my.salesforce.com/lightning/r/m3ter_Account__c/")
    assert not set(url) & set("<>[]() ")


def test_written_rows_are_shown_with_the_names_of_their_fields_and_no_values() -> None:
    written = [
        WrittenRow("created", "m1", "a00000000000001AAA", None),
        WrittenRow("updated", "m2", "a00000000000002AAA", ("Name", "Code__c")),
        WrittenRow("updated", "m3", "a00000000000003AAA", ("Long__c",) * 100),
    ]
    table = sync_metadata(SyncedObject(MAPPING, LINKS, written=written), [])["written"]
    assert isinstance(table, dg.TableMetadataValue)
    first, second, third = (row.data for row in table.records)
    assert first == {
        "action": "created",
        "m3ter_id": "m1",
        "changed_fields": "",
        "salesforce_url": LINKS.record(OBJECT, "a00000000000001AAA"),
    }
    assert second["changed_fields"] == "Name, Code__c"
    assert len(str(third["changed_fields"])) == LONGEST_NAMES


def test_without_a_written_row_there_is_no_table() -> None:
    assert "written" not in sync_metadata(SyncedObject(MAPPING, LINKS, DESCRIBED), [])
