"""Options that cannot be right are refused, and the message says where in the YAML they are."""

import pytest

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster_tests.sync.conftest import mapping


@pytest.mark.parametrize(
    ("entity", "options", "where"),
    [
        (
            "account",
            EntityOptions(custom_field_mappings={"a": "X__c", "b": "X__c"}),
            "entities.account.custom_field_mappings.a",
        ),
        (
            "account",
            EntityOptions(custom_field_mappings={"tier": "Code__c"}),
            "entities.account.custom_field_mappings.tier",
        ),
        (
            "contract",
            EntityOptions(fields={"name": "Code__c"}),
            "entities.contract.fields.name",
        ),
        (
            "account",
            EntityOptions(fields={"name": "m3ter_Id__c"}),
            "entities.account.fields.name",
        ),
        (
            "balance",
            EntityOptions(constants={"Amount__c": 1}),
            "entities.balance.constants.Amount__c",
        ),
        (
            "account",
            EntityOptions(link=AccountLink("Code__c")),
            "entities.account.link.field",
        ),
        (
            "account",
            EntityOptions(fields={"code": "X__c", "name": "X__c"}),
            "entities.account.fields.code",
        ),
        (
            "account",
            EntityOptions(fields={"code": "currency__c"}),
            "entities.account",
        ),
        # The new field comes after the default one that it is mapped to.
        (
            "account",
            EntityOptions(fields={"newer": "Code__c", "other": "Other__c"}),
            "entities.account.fields.newer",
        ),
    ],
)
def test_a_field_mapped_twice_names_its_place(
    entity: str, options: EntityOptions, where: str
) -> None:
    with pytest.raises(ConfigurationError, match="is mapped twice") as caught:
        mapping(entity, options)
    assert ".".join(caught.value.where) == where


@pytest.mark.parametrize(
    ("entity", "options", "cause", "where"),
    [
        (
            "commitment",
            EntityOptions(custom_field_mappings={"x": "X__c"}),
            "m3ter has no custom fields on a commitment",
            "custom_field_mappings",
        ),
        (
            "contract",
            EntityOptions(link=AccountLink("X__c")),
            "a contract has no link of its own: it belongs to an account",
            "link",
        ),
        (
            "contract",
            EntityOptions(include_unsettled=True),
            "a contract has no status of its own: include_unsettled is only for bills",
            "include_unsettled",
        ),
        (
            "account",
            EntityOptions(gone_field="Gone__c"),
            "the account says when_gone: keep and gone_field: Gone__c",
            "gone_field",
        ),
        (
            "account",
            EntityOptions(when_gone=WhenGone.DELETE, gone_field="Gone__c"),
            "the account says when_gone: delete and gone_field: Gone__c",
            "gone_field",
        ),
        (
            "account",
            EntityOptions(when_gone=WhenGone.FLAG),
            "the account says when_gone: flag and gone_field: None",
            "when_gone",
        ),
        (
            "account",
            EntityOptions(
                when_gone=WhenGone.FLAG, gone_field="Gone__c", constants={"GONE__C": True}
            ),
            "the account field Gone__c is both a constant and the gone_field",
            "gone_field",
        ),
        (
            "contract",
            EntityOptions(truncate=frozenset({"startDate", "accountId", "code"})),
            "accountId, startDate cannot be cut: it is not a mapped text of a contract",
            "truncate",
        ),
        (
            "contract",
            EntityOptions(mask=frozenset({"X__c", "Code__c", "A__c"})),
            "A__c, X__c cannot be masked: no field of this name is written to a contract",
            "mask",
        ),
        (
            "account",
            EntityOptions(match=Match.UPDATE_ONLY, when_gone=WhenGone.DELETE),
            (
                "the account says match: update_only and when_gone: delete, and would delete "
                "records that it has not created"
            ),
            "when_gone",
        ),
        (
            "account",
            EntityOptions(
                when_gone=WhenGone.FLAG,
                gone_field="Gone__c",
                overwrite={"Gone__c": Overwrite.IF_EMPTY},
            ),
            (
                "overwrite of the account names Gone__c, which is no field that the mapping fills "
                "with a value"
            ),
            "overwrite",
        ),
    ],
)
def test_options_that_contradict_themselves_are_refused(
    entity: str, options: EntityOptions, cause: str, where: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping(entity, options)
    assert caught.value.cause == cause
    assert caught.value.remedy
    assert caught.value.where == ("entities", entity, where)


@pytest.mark.parametrize(
    ("entity", "remedy"),
    [
        ("contract", "Remove include_unsettled."),
        ("bill_line_item", "Write include_unsettled under bill."),
    ],
)
def test_where_include_unsettled_belongs(entity: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping(entity, EntityOptions(include_unsettled=True))
    assert caught.value.remedy == remedy


@pytest.mark.parametrize(
    "kind",
    ["daysBeforeBillDue", "billEpoch", "parentAccountId", "dtCreated", "external mapping"],
)
def test_only_a_text_can_be_cut(kind: str) -> None:
    options = EntityOptions(truncate=frozenset({kind}), link=AccountLink("CRM__c"))
    with pytest.raises(ConfigurationError, match="cannot be cut"):
        mapping(options=options)


@pytest.mark.parametrize("name", ["allowOverdraft", "amount"])
def test_numbers_and_checkboxes_cannot_be_cut(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be cut"):
        mapping("balance", EntityOptions(truncate=frozenset({name})))


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (EntityOptions(include_unsettled=True), "include_unsettled"),
        (EntityOptions(truncate=frozenset({"version"})), "truncate"),
        (EntityOptions(truncate=frozenset({"accountId"})), "truncate"),
        (EntityOptions(truncate=frozenset({"no such field"})), "truncate"),
        (EntityOptions(truncate=frozenset({"code"}), fields={"code": None}), "truncate"),
        (EntityOptions(mask=frozenset({"code"})), "mask"),
        (EntityOptions(mask=frozenset({"Code__c"}), fields={"code": None}), "mask"),
        (EntityOptions(mask=frozenset({"m3ter_Id__c"})), "mask"),
        (EntityOptions(mask=frozenset({""})), "mask"),
    ],
)
def test_an_option_that_can_do_nothing_is_refused(options: EntityOptions, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping("contract", options)
    assert caught.value.where == ("entities", "contract", where)


@pytest.mark.parametrize(
    ("options", "where", "words"),
    [
        (
            EntityOptions(constants={"RecordType.DeveloperName": "Customer"}),
            "constants.RecordType.DeveloperName",
            "RecordTypeId",
        ),
        (EntityOptions(constants={"My Field": "x"}), "constants.My Field", "API name"),
        (EntityOptions(custom_field_mappings={"a": "B.C__c"}), "custom_field_mappings.a", "API"),
        (EntityOptions(fields={"code": "Code c"}), "fields.code", "API name"),
        (EntityOptions(object="my object"), "object", "API name"),
        (EntityOptions(external_id_field=""), "external_id_field", "API name"),
        (
            EntityOptions(when_gone=WhenGone.FLAG, gone_field="Gone.c"),
            "gone_field",
            "API name",
        ),
        (EntityOptions(fields={"code": "1_Code__c"}), "fields.code", "API name"),
        (EntityOptions(fields={"currency": None, "code": "É__c"}), "fields.code", "API name"),
    ],
)
def test_what_is_no_api_name_is_refused(options: EntityOptions, where: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping("contract", options)
    assert ".".join(caught.value.where) == f"entities.contract.{where}"
    assert "in the contract is not an API name of Salesforce" in caught.value.cause
    assert words in caught.value.remedy
    assert ("RecordTypeId" in caught.value.remedy) is (words == "RecordTypeId")


@pytest.mark.parametrize(
    "options",
    [
        EntityOptions(constants={"CODE__c": "x"}),
        EntityOptions(fields={"name": "code__C"}),
        EntityOptions(custom_field_mappings={"a": "M3TER_ID__C"}),
    ],
)
def test_names_that_differ_in_case_alone_are_one_field(options: EntityOptions) -> None:
    with pytest.raises(ConfigurationError, match="is mapped twice"):
        mapping("contract", options)


@pytest.mark.parametrize(
    ("link", "where"),
    [
        (AccountLink("My Field"), "field"),
        (AccountLink("CRM__c", "My Object"), "object"),
        (AccountLink("CRM__c", by=LinkBy.CODE, name="Account Number"), "by.code"),
    ],
)
def test_what_is_no_api_name_in_a_link_is_refused(link: AccountLink, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping(options=EntityOptions(link=link))
    assert ".".join(caught.value.where) == f"entities.account.link.{where}"
