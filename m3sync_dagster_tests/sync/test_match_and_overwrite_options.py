"""Whether the options ``match`` and ``overwrite`` fit, and what an org has to allow then."""

from dataclasses import replace

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster.sync.salesforce_schema import SalesforceField
from m3sync_dagster.sync.schema_validation import validate_schema
from m3sync_dagster_tests.sync.conftest import Org, mapping

UPDATE_ONLY = EntityOptions(match=Match.UPDATE_ONLY)
ALWAYS = Overwrite.ALWAYS


@pytest.mark.parametrize(
    ("options", "cause", "attribute"),
    [
        (EntityOptions(overwrite={"Nope__c": Overwrite.IF_EMPTY}), "names Nope__c,", "overwrite"),
        (
            EntityOptions(overwrite={"Code__c": ALWAYS, "parent_account__C": ALWAYS}),
            "names parent_account__C,",
            "overwrite",
        ),
        (
            EntityOptions(
                overwrite={"gone__C": Overwrite.IF_EMPTY},
                when_gone=WhenGone.FLAG,
                gone_field="Gone__c",
            ),
            "names gone__C,",
            "overwrite",
        ),
        (replace(UPDATE_ONLY, when_gone=WhenGone.DELETE), "when_gone: delete", "when_gone"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: EntityOptions, cause: str, attribute: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        mapping(options=options)
    assert cause in refused.value.cause
    assert refused.value.where == ("entities", "account", attribute)


def test_a_name_that_is_refused_is_answered_with_the_names_that_fit() -> None:
    options = EntityOptions(
        fields={one.source: None for one in ENTITIES["account"].fields}
        | {"code": "Code__c", "name": "Name__c", "parentAccountId": "Parent__c"},
        overwrite={"Nope__c": Overwrite.IF_EMPTY},
        when_gone=WhenGone.FLAG,
        gone_field="Gone__c",
    )
    with pytest.raises(ConfigurationError) as refused:
        mapping(options=options)
    assert refused.value.remedy.endswith("by their API names: Name__c, Code__c.")


def test_names_in_overwrite_are_not_case_sensitive() -> None:
    options = EntityOptions(
        constants={"Segment__c": "EMEA"},
        overwrite={"code__C": Overwrite.IF_EMPTY, "segment__c": Overwrite.IF_EMPTY},
    )
    assert mapping(options=options).if_empty == {"Code__c", "Segment__c"}
    always = mapping(options=EntityOptions(overwrite={"Code__c": ALWAYS, "Name": ALWAYS}))
    assert always == mapping()
    assert always.row_seed == mapping().row_seed


def findings(options: EntityOptions, **changed: object) -> list[str]:
    built, org = mapping(options=options), Org()
    described = org.describe(built.object_name)
    described = replace(described, **changed)  # type: ignore[arg-type]
    return [str(one) for one in validate_schema(built, described) if one.blocks]


def test_an_update_needs_no_right_to_create_and_no_required_field() -> None:
    fields: dict[str, SalesforceField] = dict(Org().describe("m3ter_Account__c").fields)
    fields["Name"] = replace(fields["Name"], createable=False)
    fields["Segment__c"] = SalesforceField("Segment__c", "string", nillable=False, defaulted=False)
    assert len(findings(EntityOptions(), createable=False, fields=fields)) == 3
    assert findings(UPDATE_ONLY, createable=False, fields=fields) == []


def test_a_checkbox_is_never_empty() -> None:
    fields: dict[str, SalesforceField] = dict(Org().describe("m3ter_Account__c").fields)
    fields["Active__c"] = SalesforceField("Active__c", "boolean")
    options = EntityOptions(
        constants={"Active__c": True}, overwrite={"Active__c": Overwrite.IF_EMPTY}
    )
    (found,) = findings(options, fields=fields)
    assert "m3ter_Account__c.Active__c is a checkbox" in found
