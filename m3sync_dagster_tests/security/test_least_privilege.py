"""m3ter's policy of the documentation is enough, and nothing in it can be left out.

The same for Salesforce's permission set: salesforce/test_metadata.py and cli/test_salesforce.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import dagster as dg
import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource
from m3sync_dagster.sandbox.m3ter import Credentials, create_app
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.errors import AuthenticationError
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, Sandbox, sync
from m3sync_dagster_tests.security.m3ter_policy import RESOURCES, Policy, documented_policy

USER = RESOURCES["users"]
Policed = Callable[..., AbstractContextManager[Policy]]


@pytest.fixture
def policed(
    environment: Sandbox, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> Policed:
    """Puts the policy, without some resources, before m3ter, and syncs every entity."""
    defs_folder.write("acme", f"{INTEGRATION}    bill: {{}}\n    bill_line_item: {{}}\n")
    given = environment.environment
    key = Credentials(given["M3TER_ORG_ID"], given["M3TER_API_KEY"], given["M3TER_API_SECRET"])

    @contextmanager
    def before_m3ter(*without: str) -> Iterator[Policy]:
        statement = documented_policy()
        statement["resource"] = [one for one in statement["resource"] if one not in without]
        app = create_app(environment.organization, key, requests_per_second=None)
        policy = Policy(app, statement)
        with running(policy) as url:
            monkeypatch.setenv("M3TER_BASE_URL", url)
            yield policy

    return before_m3ter


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def test_a_sync_of_everything_needs_the_documented_policy_and_all_of_it(
    policed: Policed, instance: dg.DagsterInstance, environment: Sandbox
) -> None:
    with policed() as policy:
        assert sync(instance, *ENTITIES).success
    assert policy.used == set(documented_policy()["resource"]) - {USER}
    assert policy.refused == []
    for entity in ENTITIES.values():
        assert environment.records(entity.object)


def test_without_a_resource_a_sync_fails_and_says_what_is_missing(
    policed: Policed, instance: dg.DagsterInstance
) -> None:
    with policed(RESOURCES["balances"]) as policy:
        result = sync(instance, "balance")
    assert not result.success
    assert policy.refused
    (failure,) = result.get_step_failure_events()
    message = str(failure.step_failure_data.error)
    assert "403" in message
    assert "Give the service user a permission policy that allows config:retrieve." in message


@contextmanager
def source(organization: Organization, *without: str) -> Iterator[tuple[M3terSource, Policy]]:
    """m3ter with the policy, without some resources."""
    key = Credentials()
    statement = documented_policy()
    statement["resource"] = [one for one in statement["resource"] if one not in without]
    policy = Policy(create_app(organization, key, requests_per_second=None), statement)
    with running(policy) as url:
        access = M3terAccessKey(key.organization_id, key.access_key_id, key.api_secret, url, 1000)
        with M3terSource(access) as reader:
            yield reader, policy


def test_the_addresses_of_users_need_the_resource_of_users() -> None:
    organization = Organization.sample()
    (user, *_) = organization.ids("users")
    with source(organization) as (reader, policy):
        assert [one.id for one in reader.users([user])] == [user]
        assert policy.used == {USER}
    with source(organization, USER) as (reader, _), pytest.raises(AuthenticationError, match="403"):
        list(reader.users([user]))


def test_one_record_of_each_type_needs_no_more() -> None:
    organization = Organization.sample()
    with source(organization) as (reader, policy):
        for entity in ENTITIES.values():
            (record, *_) = organization.ids(entity.path)
            bill = organization.get(entity.path, record).get("billId")
            assert reader.fetch(entity, record, bill)
    assert policy.refused == []
