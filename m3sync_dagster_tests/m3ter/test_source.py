"""The m3ter source with the sandbox's m3ter: its records and its requests."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator

import msgspec
import pytest
from starlette.applications import Starlette

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource, User
from m3sync_dagster.sandbox import organization as sandbox
from m3sync_dagster.sandbox.m3ter import Credentials, create_app
from m3sync_dagster.sandbox.m3ter.faults import Drop, Empty, Fault, Insert, Remove, Respond, Revoke
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.converters import Undecodable
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.interfaces import Source

ACCOUNT = ENTITIES["account"]
KEY = Credentials()


@pytest.fixture
def store() -> sandbox.Organization:
    made = sandbox.Organization.generate(250, contracts=120, commitments=7, balances=101, bills=90)
    made.add_sample_line_items()
    return made


@pytest.fixture
def app(store: sandbox.Organization) -> Starlette:
    return create_app(store, KEY, requests_per_second=None)


@pytest.fixture
def credential(app: Starlette) -> Iterator[M3terAccessKey]:
    with running(app) as url:
        yield M3terAccessKey(KEY.organization_id, KEY.access_key_id, KEY.api_secret, url, 1000)


@pytest.fixture
def organization(credential: M3terAccessKey) -> Iterator[M3terSource]:
    with M3terSource(credential) as it:
        yield it


def calls(app: Starlette) -> list[tuple[str, dict[str, list[str]]]]:
    """What m3ter was asked for: the last segment of the path, and the query."""
    return [(call["path"].rpartition("/")[2], call["query"]) for call in app.state.calls.as_json()]


def fault(app: Starlette, rule: Fault) -> None:
    app.state.faults.add(rule)


def shown(raw: bytes, name: str) -> bytes:
    """A record as its list shows it: of a bill the header, with its total."""
    if name != "bill":
        return raw
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    del fields["lineItems"]
    return msgspec.json.encode(fields)


@pytest.mark.parametrize("name", ENTITIES)
def test_every_record_comes_once_newest_first_as_m3ter_sent_it(
    name: str, store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    source: Source = organization
    path = ENTITIES[name].path
    pages = list(source.records(ENTITIES[name], None))
    read = [record for page in pages for record in page]
    assert read == [shown(store.raw(path, i), name) for i in reversed(store.ids(path))]
    assert {type(record) for record in read} == {bytes}
    assert [call for call, _ in calls(app)] == ["token"] + [path] * len(pages)
    assert {tuple(query["pageSize"]) for call, query in calls(app)[1:]} == {("100",)}
    assert organization.requests == 1 + len(pages)


def test_one_token_serves_all_lists(app: Starlette, organization: M3terSource) -> None:
    for entity in ENTITIES.values():
        for _ in organization.records(entity, None):
            pass
    assert [call for call, _ in calls(app)].count("token") == 1


@pytest.mark.parametrize("name", [name for name, one in ENTITIES.items() if one.account_filter])
def test_narrowing_asks_for_each_account_by_itself(
    name: str, store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    entity = ENTITIES[name]
    wanted = [store.ids("accounts")[n] for n in (3, 200)]
    pages = organization.records(entity, [*wanted, wanted[0], "no-such-account"])
    read = sorted(record for page in pages for record in page)
    everything = (store.get(entity.path, i) for i in store.ids(entity.path))
    expected = [r["id"] for r in everything if r[entity.account_field] in wanted]
    assert read == sorted(shown(store.raw(entity.path, i), name) for i in expected)
    assert [query[str(entity.account_filter)] for _, query in calls(app)[1:]] == [
        [account] for account in (*wanted, "no-such-account")
    ]


def test_many_allowed_accounts_are_requested_only_as_they_are_read(
    store: sandbox.Organization, organization: M3terSource
) -> None:
    """So memory holds one page, however many accounts are allowed."""
    wanted = AccountFilter(allowed=frozenset(store.ids("accounts"))).fetchable()
    assert wanted
    for read, page in enumerate(organization.records(ACCOUNT, wanted), start=1):
        assert len(page) == 1
        assert organization.requests == read + 1  # and a token
    assert read == 250


def test_restricted_accounts_need_no_request(
    store: sandbox.Organization, organization: M3terSource
) -> None:
    left_out = frozenset([*store.ids("accounts"), *map(str, range(10_000))])
    scope = AccountFilter(restricted=left_out)
    pages = [len(page) for page in organization.records(ACCOUNT, scope.fetchable())]
    assert (pages, organization.requests) == ([100, 100, 50], 4)


def test_accounts_that_satisfy_an_expression_are_listed_once(
    app: Starlette, store: sandbox.Organization, organization: M3terSource
) -> None:
    wanted, other = store.ids("accounts")[:2]
    expression = AccountExpression(f"id == {wanted}")
    for _ in range(2):
        found = organization.matching_accounts(expression, None)
        assert (found.matches(wanted), found.matches(other)) == (True, False)
    assert [path for path, _ in calls(app)] == ["token", "accounts", "accounts", "accounts"]
    few = organization.matching_accounts(expression, [other])
    assert (few.matches(wanted), few.excludes(wanted)) == (False, False)
    assert calls(app)[-1][1]["ids"] == [other]


def test_external_mappings_of_all_systems_are_read_to_the_end(
    app: Starlette, store: sandbox.Organization, organization: M3terSource
) -> None:
    accounts = store.ids("accounts")[:201]
    for account in accounts:
        store.add("externalmappings", m3terId=account, externalSystem="any")
    read = [json.loads(raw) for page in organization.external_mappings(None) for raw in page]
    assert [one["m3terId"] for one in read] == accounts[::-1]
    assert [query["pageSize"] for _, query in calls(app)[1:]] == [["200"], ["200"]]
    few = [raw for page in organization.external_mappings(accounts[:2]) for raw in page]
    assert [json.loads(raw)["m3terId"] for raw in few] == accounts[:2]
    assert [query["m3terIds"] for _, query in calls(app)[3:]] == [[one] for one in accounts[:2]]


def test_no_accounts_no_request(app: Starlette, organization: M3terSource) -> None:
    assert list(organization.records(ACCOUNT, [])) == []
    assert calls(app) == []


def test_an_account_with_more_than_a_page_is_read_to_its_end(
    store: sandbox.Organization, organization: M3terSource
) -> None:
    account = store.ids("accounts")[0]
    for balance in store.ids("balances"):
        store.change("balances", balance, accountId=account)
    pages = [len(page) for page in organization.records(ENTITIES["balance"], [account])]
    assert pages == [100, 1]


def test_an_empty_page_in_the_middle_is_not_the_end(
    app: Starlette, organization: M3terSource
) -> None:
    fault(app, Fault(Empty(), path="*/accounts", after=1))
    assert [len(p) for p in organization.records(ACCOUNT, None)] == [100, 0, 100, 50]


def test_an_empty_organization_has_one_empty_page() -> None:
    with running(create_app(sandbox.Organization(), KEY)) as url:
        key = M3terAccessKey(KEY.organization_id, KEY.access_key_id, KEY.api_secret, url)
        with M3terSource(key) as organization:
            assert list(organization.records(ACCOUNT, None)) == [[]]


def test_records_that_come_and_go_while_we_page_do_not_hide_others(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    ids = store.ids("accounts")
    fault(app, Fault(Insert("accounts", {"name": msgspec.Raw(b'"New"')}), after=2))
    fault(app, Fault(Remove("accounts", ids[-1]), after=2))
    fault(app, Fault(Remove("accounts", ids[0]), after=2))
    pages = organization.records(ACCOUNT, None)
    read = [msgspec.json.decode(record)["id"] for page in pages for record in page]
    assert read == ids[:0:-1]


def test_trouble_on_the_way_loses_and_repeats_nothing(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    fault(app, Fault(Drop(), path="*/accounts", after=1))
    fault(app, Fault(Revoke(), path="*/accounts", after=1))
    fault(app, Fault(Respond(429, headers={"retry-after-ms": "1"}), path="*/accounts", after=1))
    pages = organization.records(ACCOUNT, None)
    read = [msgspec.json.decode(record)["id"] for page in pages for record in page]
    assert read == store.ids("accounts")[::-1]


def test_what_is_no_page_stops_the_list(app: Starlette, organization: M3terSource) -> None:
    fault(app, Fault(Respond(200, '{"data":[{"id":'), path="*/accounts", after=1))
    pages = organization.records(ACCOUNT, None)
    assert len(next(pages)) == 100
    with pytest.raises(RemoteError, match=r"accounts.*page 2"):
        next(pages)


@pytest.mark.parametrize("name", sorted(set(ENTITIES) - {"bill_line_item"}))
def test_one_record_is_fetched_by_its_id(
    name: str, store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    source: Source = organization
    path = ENTITIES[name].path
    m3ter_id = store.ids(path)[1]
    assert source.fetch(ENTITIES[name], m3ter_id) == store.raw(path, m3ter_id)
    assert [call["path"].split("/")[-2:] for call in app.state.calls.as_json()][1:] == [
        [path, m3ter_id]
    ]


def test_a_line_item_is_fetched_by_its_bill_or_else_searched_for(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    entity, (other, one) = ENTITIES["bill_line_item"], store.ids("lineitems")[:2]
    bill, raw = store.get("lineitems", one)["billId"], store.raw("lineitems", one)
    assert organization.fetch(entity, one, bill) == raw
    assert [call["path"].split("/")[-4:] for call in app.state.calls.as_json()][1:] == [
        ["bills", bill, "lineitems", one]
    ]
    assert organization.fetch(entity, one, "no-such-bill") is None
    assert organization.fetch(entity, one) == raw
    assert calls(app)[-1][0] == "lineitems"
    store.remove("lineitems", one)
    assert organization.fetch(entity, one, bill) is None
    assert organization.fetch(entity, one) is None
    assert organization.fetch(entity, other, store.get("lineitems", other)["billId"])


def test_a_list_without_account_filter_is_read_as_a_whole(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    entity = ENTITIES["bill_line_item"]
    pages = organization.records(entity, store.ids("accounts")[:2])
    assert sum(map(len, pages)) == store.count("lineitems") > 100
    assert all("accountId" not in query for _, query in calls(app))
    asked = organization.requests
    assert list(organization.records(entity, [])) == []
    assert organization.requests == asked


@pytest.mark.parametrize("name", sorted(set(ENTITIES) - {"bill"}))
def test_a_deleted_record_does_not_exist(
    name: str, store: sandbox.Organization, organization: M3terSource
) -> None:
    m3ter_id = store.ids(ENTITIES[name].path)[1]
    store.remove(ENTITIES[name].path, m3ter_id)
    assert organization.fetch(ENTITIES[name], m3ter_id) is None


@pytest.mark.parametrize(
    "answer",
    [
        Respond(404, "<html>no such page</html>"),
        Respond(404, ""),
        Respond(404, ["nothing"]),
        Respond(403, {"message": "no"}),
        Respond(400, {"message": "not a UUID"}),
        Respond(410, {"message": "gone"}),
        Respond(200, {"id": "another"}),
        Respond(200, {"data": []}),
        Respond(200, "no JSON"),
    ],
)
def test_only_m3ters_own_404_says_that_a_record_does_not_exist(
    answer: Respond, store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    fault(app, Fault(answer, path="*/accounts/*"))
    with pytest.raises(SyncError, match="accounts/"):
        organization.fetch(ACCOUNT, store.ids("accounts")[0])


@pytest.mark.parametrize("m3ter_id", ["", "..", "../contracts", "a/b", "search?x=1#y", "ä%2F"])
def test_an_odd_id_is_never_taken_for_another_request(
    m3ter_id: str, organization: M3terSource
) -> None:
    with contextlib.suppress(SyncError):
        assert organization.fetch(ACCOUNT, m3ter_id) is None


def test_no_token_says_nothing_about_a_record(app: Starlette, organization: M3terSource) -> None:
    fault(app, Fault(Respond(404, {"message": "no such path"}), path="*/oauth/token"))
    with pytest.raises(ConfigurationError, match="/oauth/token with 404"):
        organization.fetch(ACCOUNT, "x")


def test_users_are_found_by_id(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    first, second, third = store.ids("users")[:3]
    store.merge("users", first, {"firstName": "Zoë", "lastName": "Ng", "email": "zoe@example.com"})
    store.merge("users", second, {"firstName": None, "lastName": "Ng", "email": None})
    store.merge("users", third, {"firstName": "", "lastName": None, "email": ""})
    assert list(organization.users([first, second, "unknown", third, first])) == [
        User(first, "Zoë Ng", "zoe@example.com"),
        User(second, "Ng", None),
        User(third, third, None),
    ]
    assert {tuple(query["pageSize"]) for call, query in calls(app)[1:]} == {("200",)}


def test_a_user_whose_name_cannot_be_read_is_found_all_the_same(
    store: sandbox.Organization, organization: M3terSource
) -> None:
    user = store.ids("users")[0]
    raw = b'{"id":"%s","firstName":"\\ud83d","lastName":"\xff","email":"zoe@example.com"}'
    store.put_raw("users", user, raw % user.encode())
    assert list(organization.users([user])) == [User(user, "zoe@example.com", "zoe@example.com")]


def test_only_the_requested_users_are_read(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    one, other = store.ids("users")[:2]
    body = {"data": [msgspec.Raw(store.raw("users", i)) for i in (one, other)]}
    fault(app, Fault(Respond(200, body), path="*/users"))
    assert [user.id for user in organization.users([other])] == [other]


def test_a_user_that_is_none_is_an_error(app: Starlette, organization: M3terSource) -> None:
    fault(app, Fault(Respond(200, {"data": [{"email": "a@example.com"}]}), path="*/users"))
    with pytest.raises(RemoteError, match="not a user"):
        list(organization.users(["x"]))


def test_check_asks_for_a_token_and_one_account(app: Starlette, organization: M3terSource) -> None:
    organization.check()
    assert calls(app) == [("token", {}), ("accounts", {"pageSize": ["1"]})]


def test_check_says_that_the_secret_is_wrong_without_telling_it(
    credential: M3terAccessKey,
) -> None:
    wrong = dataclasses.replace(credential, api_secret="wr0ng-secret")
    with M3terSource(wrong) as it, pytest.raises(AuthenticationError) as refused:
        it.check()
    assert "wr0ng-secret" not in f"{refused.value} {it!r} {wrong!r} {vars(it)}"
    assert it.requests == 1


def test_check_says_that_the_organization_is_not_ours(credential: M3terAccessKey) -> None:
    other = dataclasses.replace(credential, organization_id="../oauth?x=1#")
    with M3terSource(other) as it, pytest.raises((AuthenticationError, ConfigurationError)):
        it.check()


def test_the_sandbox_limit_of_50_a_second_is_never_met(
    store: sandbox.Organization, postgres_url: str
) -> None:
    app = create_app(store, KEY)
    with running(app) as url:
        key = M3terAccessKey(KEY.organization_id, KEY.access_key_id, KEY.api_secret, url)
        with M3terSource(key, postgres_url) as organization:
            accounts = store.ids("accounts")[:60]
            assert sum(map(len, organization.records(ACCOUNT, accounts))) == 60
    assert len(calls(app)) == 61


def test_hosted_configurations_are_read_to_the_last_page(
    store: sandbox.Organization, app: Starlette, organization: M3terSource
) -> None:
    for number in range(201):
        store.add("integrationconfigs", id=f"c{number}", entityType="Account")
    store.put_raw("integrationconfigs", "c0", b'{"id": "c0", "name": "\\ud800", "enabled": null}')
    found = list(organization.hosted_configurations())
    assert [one["id"] for one in found if isinstance(one, dict)] == [
        f"c{number}" for number in reversed(range(201))
    ]
    last = found[-1]
    assert isinstance(last, dict)
    assert isinstance(last["name"], Undecodable)
    assert [call for call, _ in calls(app)] == ["token", *["integrationconfigs"] * 2]


def test_a_configuration_that_is_no_object_does_not_stop_the_others(
    store: sandbox.Organization, organization: M3terSource
) -> None:
    store.add("integrationconfigs", id="a")
    store.put_raw("integrationconfigs", "b", b'"text"')
    store.put_raw("integrationconfigs", "c", b"null")
    found = list(organization.hosted_configurations())
    assert found[:2] == [None, "text"]
    assert isinstance(found[2], dict)
