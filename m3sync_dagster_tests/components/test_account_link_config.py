"""The YAML of a link."""

import pytest

from m3sync_dagster.components.account_link_config import LinkConfig, account_link
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.errors import ConfigurationError


@pytest.mark.parametrize(
    ("by", "link"),
    [
        ("external_mapping", AccountLink("L__c")),
        ({"custom_field": "sfdcId"}, AccountLink("L__c", by=LinkBy.CUSTOM_FIELD, name="sfdcId")),
        ({"code": "Number__c"}, AccountLink("L__c", by=LinkBy.CODE, name="Number__c")),
        ("guess", None),
        ("custom_field", None),
        ("code", None),
        ("", None),
        ({}, None),
        ({"external_mapping": "x"}, None),
        ({"custom_field": ""}, None),
        ({"custom_field": "a", "code": "b"}, None),
    ],
)
def test_the_ways_to_find_the_record(by: str | dict[str, str], link: AccountLink | None) -> None:
    config = LinkConfig(field="L__c", by=by)
    if link:
        assert account_link(config) == link
        return
    with pytest.raises(ConfigurationError) as caught:
        account_link(config)
    assert caught.value.where == ("entities", "account", "link", "by")
