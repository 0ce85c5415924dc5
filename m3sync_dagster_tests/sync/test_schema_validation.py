"""What a describe says, held against a mapping: every finding, and no more than is said."""

from dataclasses import replace
from typing import Any

import pytest

from m3sync_dagster.entities import ENTITIES, EXTERNAL_ID
from m3sync_dagster.sync.account_link_types import AccountLink
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone, build_mapping
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaMismatchError, require_none
from m3sync_dagster.sync.schema_validation import validate_schema
from m3sync_dagster_tests.sync.fitting_object import fitting


def mapping_of(entity: str = "contract", **options: Any) -> FieldMapping:  # noqa: ANN401 - as EntityOptions
    return build_mapping(ENTITIES[entity], {entity: EntityOptions(**options)}, "")


def named() -> FieldMapping:
    """A mapping whose YAML names every field."""
    fields = {one.source: one.salesforce for one in ENTITIES["contract"].fields}
    return mapping_of(fields=fields, external_id_field=EXTERNAL_ID)


def place_of(mapping: FieldMapping, name: str) -> tuple[str, ...]:
    """Where the YAML names a Salesforce field; the entity if it does not."""
    return mapping.written.get(name, ("entities", mapping.entity.name))


def changed(mapping: FieldMapping, name: str, **changes: Any) -> SalesforceObject:  # noqa: ANN401 - as SalesforceField
    described = fitting(mapping)
    found = described.fields.get(name, SalesforceField(name, "string", defaulted=False))
    return replace(described, fields=described.fields | {name: replace(found, **changes)})


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_org_that_fits_has_no_findings(entity: str) -> None:
    mapping = mapping_of(entity)
    assert validate_schema(mapping, fitting(mapping)) == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_property_that_the_describe_leaves_out_is_no_finding(entity: str) -> None:
    mapping = mapping_of(entity)
    names = [mapping.external_id_field, *mapping.columns]
    fields = {name: SalesforceField(name, "string") for name in names}
    assert validate_schema(mapping, SalesforceObject("X__c", "X", fields)) == []


@pytest.mark.parametrize(
    ("value", "changes", "words"),
    [
        ("m3ter", {"type": "boolean"}, "neither true nor false"),
        ("m3ter", {"type": "picklist", "picklist": ("A",), "restricted": True}, "restricted"),
        ("m3ter", {"length": 4}, "the field holds 4"),
        (7, {"type": "date"}, "is not a date"),
        ("acme", {"type": "reference"}, "is not a Salesforce Id"),
        (True, {}, "is a text field, and true without quotes in the YAML"),
        (7, {}, "is a text field, and 7 without quotes in the YAML"),
        (12.5, {"type": "picklist"}, "is a text field, and 12.5 without quotes in the YAML"),
    ],
)
def test_a_constant_that_does_not_fit_is_found_before_any_row(
    value: object, changes: dict[str, Any], words: str
) -> None:
    mapping = mapping_of(constants={"Fixed__c": value})
    (finding,) = validate_schema(mapping, changed(mapping, "Fixed__c", **changes))
    assert words in finding.cause
    assert "m3ter_Contract__c.Fixed__c" in finding.cause
    assert finding.blocks
    assert finding.where == ("entities", "contract", "constants", "Fixed__c")


@pytest.mark.parametrize(
    ("value", "kind"),
    [("NO", "string"), ("7", "double"), ("7", "int"), (7, "double"), (True, "boolean")],
)
def test_a_constant_that_fits_is_no_finding(value: object, kind: str) -> None:
    mapping = mapping_of(constants={"Fixed__c": value})
    assert validate_schema(mapping, changed(mapping, "Fixed__c", type=kind)) == []


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"fields": {"code": "CODE__c"}}, ("fields", "code")),
        ({"custom_field_mappings": {"tier": "CODE__c"}, "fields": {"code": None}}, None),
        ({"constants": {"CODE__c": "x"}, "fields": {"code": None}}, ("constants", "CODE__c")),
        (
            {"when_gone": WhenGone.FLAG, "gone_field": "CODE__c", "fields": {"code": None}},
            ("gone_field",),
        ),
        ({"external_id_field": "CODE__c", "fields": {"code": None}}, ("external_id_field",)),
    ],
)
def test_a_name_in_another_case_is_not_reported_as_missing(
    options: dict[str, Any], place: tuple[str, ...] | None
) -> None:
    described = fitting(mapping_of())
    for existing in (None, frozenset({"Code__c"})):
        first, *_ = validate_schema(mapping_of(**options), described, existing)
        assert first.blocks
        assert "has no field CODE__c; did you mean Code__c?" in first.cause
        assert first.remedy.startswith("Write Code__c")
        where = place or ("custom_field_mappings", "tier")
        assert first.where == ("entities", "contract", *where)


def test_a_gone_field_that_may_not_be_empty_is_a_finding() -> None:
    mapping = mapping_of(when_gone=WhenGone.FLAG, gone_field="Gone__c")
    described = changed(mapping, "Gone__c", type="date", nillable=False, defaulted=False)
    (finding,) = validate_schema(mapping, described)
    assert "the org requires one" in finding.cause
    assert finding.where == ("entities", "contract", "gone_field")
    assert (
        validate_schema(mapping, changed(mapping, "Gone__c", type="boolean", nillable=False)) == []
    )


BLOCKING: list[tuple[str, dict[str, Any], str]] = [
    (EXTERNAL_ID, {"external_id": False}, "is not an External ID"),
    (EXTERNAL_ID, {"unique": False}, "is not Unique"),
    (EXTERNAL_ID, {"unique": False, "case_sensitive": False}, "is not Unique"),
    (EXTERNAL_ID, {"type": "double", "length": 0}, "a double field of length unknown, and cannot"),
    (EXTERNAL_ID, {"length": 18}, "a string field of length 18, and cannot hold m3ter's ids"),
    (EXTERNAL_ID, {"type": "encryptedstring"}, "is encrypted, or cannot be filtered by"),
    (EXTERNAL_ID, {"filterable": False}, "is encrypted, or cannot be filtered by"),
    ("m3ter_Account__c", {"type": "encryptedstring"}, "of type encryptedstring, and accountId is"),
    ("m3ter_Account__c", {"relationship": None}, "has no relationship name"),
    (EXTERNAL_ID, {"createable": False}, "may read but not write m3ter_Id__c"),
    ("Code__c", {"createable": False, "updateable": False}, "may read but not write Code__c"),
    ("Code__c", {"updateable": False}, "may read but not write Code__c"),
    ("Code__c", {"type": "double"}, "is of type double, and code is a text"),
    ("Code__c", {"type": "address"}, "is of type address, and code is a text"),
    ("Start_Date__c", {"type": "boolean"}, "is of type boolean, and startDate is a date"),
    ("Version__c", {"type": "date"}, "is of type date, and version is a whole number"),
    ("Created_In_m3ter__c", {"type": "date"}, "and dtCreated is a date-time"),
    ("Apply_Contract_Period_Limits__c", {"type": "double"}, "is true or false"),
    ("m3ter_Account__c", {"refers_to": ("Account",)}, "points to Account, and accountId to m3ter"),
    (
        "m3ter_Account__c",
        {"refers_to": ("m3ter_Account__c", "Account")},
        "points to m3ter_Account__c, Account",
    ),
    ("Region__c", {"nillable": False}, "requires Region__c, which nothing is mapped to"),
]


@pytest.mark.parametrize(("name", "changes", "words"), BLOCKING)
def test_what_blocks(name: str, changes: dict[str, Any], words: str) -> None:
    mapping = named()
    (found,) = validate_schema(mapping, changed(mapping, name, **changes))
    assert found.blocks
    assert words in found.cause
    assert mapping.object_name in found.cause
    assert found.remedy.endswith(".")
    assert (found.entity, found.where) == ("contract", place_of(mapping, name))


WARNING: list[tuple[str, dict[str, Any], str]] = [
    (EXTERNAL_ID, {"case_sensitive": False}, "differ only in case"),
    ("Code__c", {"type": "encryptedstring"}, "without the permission View Encrypted Data"),
    ("Code__c", {"length": 80}, "holds 80 characters, and code can have 255"),
    ("Version__c", {"precision": 6}, "holds 6 digits before the point, and version can have 18"),
    ("m3ter_Account__c", {"type": "string", "length": 36}, "holds 36 characters, and accountId"),
]


@pytest.mark.parametrize(("name", "changes", "words"), WARNING)
def test_what_is_only_warned_of(name: str, changes: dict[str, Any], words: str) -> None:
    mapping = named()
    (found,) = validate_schema(mapping, changed(mapping, name, **changes))
    assert not found.blocks
    assert words in found.cause
    assert mapping.object_name in found.cause
    assert found.where == place_of(mapping, name)


HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("Extra__c", {"nillable": False, "defaulted": True}),
    ("Extra__c", {"nillable": False, "defaulted": None}),
    ("Extra__c", {"nillable": False, "createable": False}),
    ("Extra__c", {"nillable": False, "type": "boolean"}),
    ("Extra__c", {"unique": True}),
    ("Code__c", {"type": "picklist", "length": 255}),
    ("Code__c", {"type": "a type of the future"}),
    ("Usage_Filters__c", {"type": "textarea"}),
    ("m3ter_Account__c", {"refers_to": ("M3TER_ACCOUNT__C",)}),
    ("m3ter_Account__c", {"refers_to": ()}),
    ("Code__c", {"nillable": False}),
    (EXTERNAL_ID, {"nillable": False, "defaulted": False}),
    ("Version__c", {"type": "currency"}),
    ("Start_Date__c", {"type": "string", "length": 20}),
]


@pytest.mark.parametrize(("name", "changes"), HARMLESS)
def test_what_is_no_finding(name: str, changes: dict[str, Any]) -> None:
    mapping = mapping_of()
    assert validate_schema(mapping, changed(mapping, name, **changes)) == []


def test_a_lookup_whose_path_names_the_parents_field_may_point_anywhere() -> None:
    mapping = mapping_of(fields={"accountId": "Buyer__r.Key__c"})
    buyer = {"type": "reference", "relationship": "Buyer__r", "refers_to": ("Account",)}
    described = changed(mapping_of(), "Buyer__c", **buyer)
    assert validate_schema(mapping, described) == []


@pytest.mark.parametrize(
    ("match", "rights", "words"),
    [
        (Match.UPSERT, {"createable": False}, "may not create records of m3ter_Contract__c"),
        (Match.UPSERT, {"updateable": False}, "may not edit records"),
        (Match.UPSERT, {"createable": False, "updateable": False}, "may not create or edit"),
        (Match.UPDATE_ONLY, {"createable": False}, None),
        (Match.UPDATE_ONLY, {"createable": False, "updateable": False}, "may not edit records"),
    ],
)
def test_the_user_may_write_the_object(
    match: Match, rights: dict[str, Any], words: str | None
) -> None:
    mapping = mapping_of(match=match)
    found = validate_schema(mapping, replace(fitting(mapping), **rights))
    assert [words in one.cause for one in found if words] == ([True] if words else [])
    assert [(one.blocks, one.where) for one in found] == (
        [(True, ("entities", "contract"))] if words else []
    )


@pytest.mark.parametrize("match", Match)
def test_an_update_needs_neither_required_fields_nor_the_right_to_create(match: Match) -> None:
    mapping = mapping_of(match=match)
    fields = changed(mapping, "Region__c", nillable=False).fields
    fields["Code__c"] = replace(fields["Code__c"], createable=False)
    found = validate_schema(mapping, replace(fitting(mapping), fields=fields))
    assert len(found) == (0 if match is Match.UPDATE_ONLY else 2)


def test_each_constant_is_compared_though_another_does_not_fit() -> None:
    mapping = mapping_of(constants={"Missing__c": "x", "A__c": "x", "B__c": 7, "C__c": 8})
    fields = {
        "A__c": SalesforceField("A__c", "date"),
        "B__c": SalesforceField("B__c", "string"),
        "C__c": SalesforceField("C__c", "string"),
    }
    described = without(fitting(mapping), "Missing__c")
    found = validate_schema(mapping, replace(described, fields=described.fields | fields))
    assert [one.where[-1] for one in found] == ["Missing__c", "A__c", "B__c", "C__c"]
    assert all(one.blocks for one in found)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (SalesforceField("Active__c", "boolean"), "Active__c is a checkbox, which is never empty"),
        (SalesforceField("Active__c", "double"), "does not accept the constant"),
        (None, "shows no field Active__c"),
    ],
)
def test_a_checkbox_is_not_written_only_if_it_is_empty(
    field: SalesforceField | None, words: str
) -> None:
    mapping = mapping_of(constants={"Active__c": True}, overwrite={"Active__c": Overwrite.IF_EMPTY})
    described = without(fitting(mapping), "Active__c")
    fields = {field.name: field} if field else {}
    (found,) = validate_schema(mapping, replace(described, fields=described.fields | fields))
    assert words in found.cause
    assert (found.blocks, found.where) == (True, place_of(mapping, "Active__c"))


@pytest.mark.parametrize(
    ("lookup", "words"),
    [
        (None, "has no field Crm__c, or hides it"),
        (SalesforceField("Crm__c", "string"), "is of type string"),
        (SalesforceField("Crm__c", "reference"), None),
    ],
)
def test_the_link_of_accounts_has_findings_of_its_own(
    lookup: SalesforceField | None, words: str | None
) -> None:
    mapping = mapping_of("account", link=AccountLink("Crm__c"))
    described = without(fitting(mapping), "Crm__c")
    fields = {lookup.name: lookup} if lookup else {}
    found = validate_schema(mapping, replace(described, fields=described.fields | fields))
    assert [words in one.cause for one in found if words] == ([True] if words else [])
    assert [one.where for one in found] == (
        [("entities", "account", "link", "field")] if words else []
    )


def without(described: SalesforceObject, *names: str) -> SalesforceObject:
    kept = {name: field for name, field in described.fields.items() if name not in names}
    return replace(described, fields=kept)


def test_missing_and_hidden_fields_are_separate_findings_if_that_is_known() -> None:
    mapping = named()
    described = without(fitting(mapping), "Code__c", "Description__c")
    (unknown,) = validate_schema(mapping, described)
    assert "shows no field Code__c, Description__c" in unknown.cause
    assert "its rights do not allow to see" in unknown.cause
    assert unknown.where == place_of(mapping, "Code__c")
    absent, hidden = validate_schema(mapping, described, frozenset({"Code__c"}))
    assert "m3ter_Contract__c has no field Description__c" in absent.cause
    assert "deploy" in absent.remedy
    assert absent.where == place_of(mapping, "Description__c")
    assert "field-level security hides Code__c of m3ter_Contract__c" in hidden.cause
    assert "permission set" in hidden.remedy
    assert hidden.where == place_of(mapping, "Code__c")
    assert all(one.blocks for one in (unknown, absent, hidden))


def test_all_is_found_at_once() -> None:
    mapping = mapping_of()
    described = replace(
        without(changed(mapping, EXTERNAL_ID, unique=False, external_id=False), "Code__c"),
        createable=False,
    )
    found = validate_schema(mapping, described)
    assert len(found) == 4
    with pytest.raises(SchemaMismatchError, match="in 4 ways") as caught:
        require_none(found)
    assert all(str(finding) in str(caught.value) for finding in found)
    assert caught.value.findings == tuple(found)


def test_currency_iso_code_only_where_the_org_has_it() -> None:
    mapping = mapping_of("balance", fields={"currency": "CurrencyIsoCode"})
    several = changed(mapping, "CurrencyIsoCode", type="picklist", length=3)
    amount = replace(several.fields["Amount__c"], type="currency")
    several = replace(several, fields=several.fields | {"Amount__c": amount})
    assert validate_schema(mapping, several) == []
    (single,) = validate_schema(mapping, without(several, "CurrencyIsoCode"))
    assert single.blocks
    assert "only an org with several currencies has it" in single.cause
    assert single.where == ("entities", "balance", "fields", "currency")


def test_amounts_in_an_org_of_several_currencies_need_theirs() -> None:
    mapping = mapping_of("balance", fields={"amount": "Amount__c"})
    described = changed(mapping, "Amount__c", type="currency")
    assert validate_schema(mapping, described) == []
    iso = SalesforceField("CurrencyIsoCode", "picklist", length=3)
    (found,) = validate_schema(
        mapping, replace(described, fields=described.fields | {"CurrencyIsoCode": iso})
    )
    assert not found.blocks
    assert "Amount__c" in found.cause
    assert found.where == place_of(mapping, "Amount__c")
    missing = without(described, "Name")
    several = replace(missing, fields=missing.fields | {"CurrencyIsoCode": iso})
    assert [one.blocks for one in validate_schema(mapping, several)] == [True, False]


def test_a_finding_points_to_where_the_yaml_says_it() -> None:
    mapping = mapping_of(
        fields={"code": "Other__c"},
        custom_field_mappings={"tier": "Tier__c"},
        constants={"System__c": "m3ter"},
        external_id_field="Key__c",
    )
    places = {
        "Other__c": ("fields", "code"),
        "Tier__c": ("custom_field_mappings", "tier"),
        "System__c": ("constants", "System__c"),
        "Key__c": ("external_id_field",),
    }
    for name, place in places.items():
        found, *_ = validate_schema(mapping, without(fitting(mapping), name))
        assert found.where == ("entities", "contract", *place)


def test_what_is_to_be_cut_is_no_warning() -> None:
    mapping = mapping_of(truncate=frozenset({"code"}))
    assert validate_schema(mapping, changed(mapping, "Code__c", length=10)) == []


def test_fields_that_salesforce_sets_need_no_mapping() -> None:
    mapping = mapping_of()
    described = changed(mapping, "Id", type="id", nillable=False, defaulted=False)
    assert validate_schema(mapping, described) == []
