"""Setting and removing the attribute keeps every other character."""

import resource

import pytest

from m3sync_dagster.components.edit_defs_yaml import connect, disconnect
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import DefsFolder

BEFORE = """\
# Who owns this: finance.
type: m3sync_dagster.M3terCredential
attributes: {name: m3ter_production}
---
type: 'm3sync_dagster.SalesforceSync'   # the big one
attributes:
    minute_of_hour: 07
    name: "other"
    m3ter_credential: 'm3ter_production'  # ours
    # The next line is awaited by sales.
    entities:
      account:
          custom_field_mappings:  {tier: Tier__c}
      contract: {}
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme   # Ünïcode 漢字
  notify_users_if_disabled:
  - a
  -   b
"""
CONNECTED = BEFORE.replace("# ours\n", "# ours\n    salesforce_credential: prod\n")


def changed(defs_folder: DefsFolder, text: str, *, credential: str | None) -> str:
    path = defs_folder.write("acme", text)
    if credential is None:
        disconnect("other")
    else:
        connect("other", credential)
    return path.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "credential", "after"),
    [
        pytest.param(BEFORE, "prod", CONNECTED, id="connect"),
        pytest.param(CONNECTED, "qa", CONNECTED.replace("prod\n", "qa\n"), id="update"),
        pytest.param(CONNECTED, None, BEFORE, id="disconnect"),
        pytest.param(BEFORE, None, BEFORE, id="disconnect what is not connected"),
        pytest.param(
            CONNECTED.replace(": prod", ': "prod"  # live'),
            "qa",
            CONNECTED.replace(": prod", ': "qa"  # live'),
            id="quotes and a comment stay",
        ),
        pytest.param(
            CONNECTED.replace(": prod", ": prod  # live"),
            None,
            CONNECTED.replace("salesforce_credential: prod", "# live"),
            id="a comment outlives its line",
        ),
        pytest.param(
            CONNECTED.replace(": prod", ":"), "prod", CONNECTED, id="a key without a value"
        ),
        pytest.param(
            BEFORE.replace("\n", "\r\n"), "prod", CONNECTED.replace("\n", "\r\n"), id="Windows"
        ),
        pytest.param(
            "type: m3sync_dagster.SalesforceSync\nattributes: {name: other, minute_of_hour: 3}",
            "prod",
            "type: m3sync_dagster.SalesforceSync\n"
            "attributes: {name: other, salesforce_credential: prod, minute_of_hour: 3}",
            id="on one line",
        ),
        pytest.param(
            "type: m3sync_dagster.SalesforceSync\n"
            "attributes: {name: other, salesforce_credential: prod, minute_of_hour: 3}",
            None,
            "type: m3sync_dagster.SalesforceSync\nattributes: {name: other, minute_of_hour: 3}",
            id="off one line",
        ),
        pytest.param(
            "type: m3sync_dagster.SalesforceSync\nattributes:\n  name: other",
            "prod",
            "type: m3sync_dagster.SalesforceSync\nattributes:\n  name: other\n"
            "  salesforce_credential: prod\n",
            id="no line end at the end",
        ),
    ],
)
def test_nothing_else_changes(
    defs_folder: DefsFolder, before: str, credential: str | None, after: str
) -> None:
    assert changed(defs_folder, before, credential=credential) == after


def test_the_name_is_that_of_an_integration(defs_folder: DefsFolder) -> None:
    with pytest.raises(ConfigurationError, match="literal name m3ter_production"):
        connect("m3ter_production", "prod")


def test_a_link_stays_one(defs_folder: DefsFolder) -> None:
    link = defs_folder.path / "acme" / "defs.yaml"
    file = link.rename(defs_folder.path / "shared.yaml")
    link.symlink_to("../shared.yaml")
    connect("acme", "salesforce_qa")
    assert link.is_symlink()
    assert "salesforce_credential: salesforce_qa" in file.read_text()


@pytest.mark.parametrize("text", ["type: [", "[" * 2000, "? [a]\n: b\n", "\x00"])
def test_a_broken_file_is_no_reason_not_to_change_another(
    defs_folder: DefsFolder, text: str
) -> None:
    defs_folder.write("aaa", text)
    connect("acme", "salesforce_qa")
    assert (
        "salesforce_credential: salesforce_qa"
        in (defs_folder.path / "acme" / "defs.yaml").read_text()
    )


def test_a_file_that_would_not_say_what_is_meant_is_left_alone(defs_folder: DefsFolder) -> None:
    text = (
        "base: &base {name: other}\ntype: m3sync_dagster.SalesforceSync\n"
        "attributes:\n  name: other\n  salesforce_credential: &it prod\n  namespace: *it\n"
    )
    path = defs_folder.write("acme", text)
    with pytest.raises(ConfigurationError, match="by hand"):
        connect("other", "qa")
    assert path.read_text() == text


def test_a_day_that_is_none_does_not_stand_in_the_way(defs_folder: DefsFolder) -> None:
    """YAML would refuse this date as invalid; Dagster reads it as a text."""
    before = BEFORE.replace("{tier: Tier__c}", "{tier: 2026-02-30}")
    after = CONNECTED.replace("{tier: Tier__c}", "{tier: 2026-02-30}")
    assert changed(defs_folder, before, credential="prod") == after


def test_a_full_disk_leaves_the_file_as_it_was(defs_folder: DefsFolder) -> None:
    file = defs_folder.write("acme", BEFORE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="File too large"):
            connect("other", "prod")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == BEFORE
    assert [one.name for one in file.parent.iterdir()] == ["defs.yaml"]
