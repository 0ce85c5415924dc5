from decimal import Decimal

import httpx
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.sandbox.m3ter.conftest import CREDENTIALS, HOME, Clock, login

BASIC = (CREDENTIALS.access_key_id, CREDENTIALS.api_secret)
GRANT = {"grant_type": "client_credentials"}
ACCOUNT = {"name": "A", "code": "A", "emailAddress": "a@example.com"}


def ids(answer: httpx.Response) -> list[str]:
    return [record["id"] for record in answer.raise_for_status().json()["data"]]


@pytest.mark.parametrize("form", ["json", "data"])
def test_a_token_is_issued_for_a_json_and_for_a_form_body(url: str, form: str) -> None:
    answer = httpx.request("POST", f"{url}/oauth/token", auth=BASIC, **{form: GRANT})  # type: ignore[arg-type]
    token = answer.json().pop("access_token")
    assert answer.json() == {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 18000,
    }
    bearer = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{url}{HOME}/users", headers=bearer).status_code == 200


@pytest.mark.parametrize(
    ("auth", "body", "status"),
    [
        (None, GRANT, 401),
        ((BASIC[0], "wrong"), GRANT, 401),
        (("wrong", BASIC[1]), GRANT, 401),
        (BASIC, {}, 400),
        (BASIC, {"grant_type": "password"}, 400),
    ],
)
def test_no_token_for_a_bad_request(
    url: str, auth: tuple[str, str] | None, body: dict[str, str], status: int
) -> None:
    answer = httpx.post(f"{url}/oauth/token", auth=auth, json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic !", "Basic"])
@pytest.mark.parametrize("path", [f"{HOME}/accounts", f"{HOME}/users/1", "/elsewhere"])
def test_every_path_needs_a_valid_token(url: str, header: str, path: str) -> None:
    answer = httpx.get(f"{url}{path}", headers={"authorization": header})
    assert answer.status_code == 401
    assert list(answer.json()) == ["message"]


def test_a_token_is_accepted_only_as_a_bearer_token(http: httpx.Client) -> None:
    token = http.headers["authorization"].removeprefix("Bearer ")
    answers = [
        http.get(f"{HOME}/users", headers={"authorization": scheme + token})
        for scheme in ("Token ", "")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]


def test_a_token_expires_after_five_hours(http: httpx.Client, clock: Clock) -> None:
    clock.now += 17_999
    assert http.get(f"{HOME}/accounts").status_code == 200
    clock.now += 1
    assert http.get(f"{HOME}/accounts").status_code == 401
    login(http)
    assert http.get(f"{HOME}/accounts").status_code == 200


def test_the_secret_is_not_in_the_repr() -> None:
    assert CREDENTIALS.api_secret not in repr(CREDENTIALS)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/elsewhere", 404),
        ("GET", f"{HOME}/creditnotes", 404),
        ("GET", f"{HOME}/accounts/unknown", 404),
        ("PUT", f"{HOME}/accounts/unknown", 404),
        ("DELETE", f"{HOME}/accounts/unknown", 404),
        ("POST", f"{HOME}/balances/unknown/transactions", 404),
        ("GET", "/organizations/other/accounts", 403),
        ("PATCH", f"{HOME}/accounts", 405),
        ("POST", f"{HOME}/users", 405),
        ("DELETE", f"{HOME}/users/1", 405),
        ("GET", f"{HOME}/accounts?pageSize=0", 400),
        ("GET", f"{HOME}/accounts?pageSize=101", 400),
        ("GET", f"{HOME}/accounts?pageSize=-1", 400),
        ("GET", f"{HOME}/accounts?pageSize=ten", 400),
        ("GET", f"{HOME}/users?pageSize=201", 400),
        ("GET", f"{HOME}/integrationconfigs?pageSize=201", 400),
        ("GET", f"{HOME}/integrationconfigs/unknown", 404),
        ("POST", f"{HOME}/integrationconfigs", 405),
        ("GET", f"{HOME}/accounts?nextToken=nonsense", 400),
        ("GET", f"{HOME}/commitments?date=tomorrow", 400),
    ],
)
def test_errors_have_a_status_and_a_message(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    body = ACCOUNT | {"version": 1, "amount": 1} if method in ("PUT", "POST") else None
    answer = http.request(method, path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"name":"A","code":null}'])
def test_a_bad_body_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post(f"{HOME}/accounts", content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


def test_pages_return_all_records(http: httpx.Client, organization: Organization) -> None:
    found: list[str] = []
    query: dict[str, str | int] = {"pageSize": 40}
    for _ in range(3):
        answer = http.get(f"{HOME}/accounts", params=query)
        found += ids(answer)
        query["nextToken"] = answer.json().get("nextToken", "")
    assert "nextToken" not in answer.json()
    assert found == organization.ids("accounts")[::-1]


def test_the_default_page_size_is_a_hundred(http: httpx.Client) -> None:
    assert len(ids(http.get(f"{HOME}/accounts"))) == 100


def test_values_keep_their_exact_text(http: httpx.Client) -> None:
    body = b'{"accountId":"a","name":"n","code":"c","currency":"USD","startDate":"x","endDate":"y",'
    amount = b'"amount":1234567890.12345678,"rolloverAmount":1.50}'
    created = http.post(f"{HOME}/balances", content=body + amount)
    path = f"{HOME}/balances/{created.json()['id']}"
    for answer in (created, http.get(path), http.get(f"{HOME}/balances?pageSize=1")):
        assert amount.strip(b"}") in answer.content
    http.post(f"{path}/transactions", content=b'{"amount":-0.00000001}')
    assert b'"amount":1234567890.12345677,' in http.get(path).content


@pytest.mark.parametrize("query", ["ids=a&ids=b", "ids=a,b", "ids=a%2Cb", "ids=a,b&ids=b"])
def test_array_parameters_have_two_forms(
    http: httpx.Client, organization: Organization, query: str
) -> None:
    for one in "abc":
        organization.put_raw("accounts", one, b'{"id":"%s"}' % one.encode())
    assert ids(http.get(f"{HOME}/accounts?{query}")) == ["b", "a"]


RECORDS = {
    "a": b'{"id":"a","accountId":"A","contractId":"C","productIds":["P"],'
    b'"startDate":"2025-01-01","endDate":"2026-01-01"}',
    "b": b'{"id":"b","accountId":"A","startDate":"2026-01-01",'
    b'"endDate":"2027-01-01T00:00:00+01:00"}',
    "c": b'{"id":"c","accountId":"B","contractId":null,"endDate":"2026-01-01",'
    b'"rolloverAmount":1,"rolloverEndDate":"2028-01-01T00:00:00Z"}',
    "d": b'{"id":"d","accountId":7,"endDate":7}',
}


@pytest.mark.parametrize(
    ("entity", "query", "expected"),
    [
        ("contracts", "accountId=A", "ba"),
        ("contracts", "accountId=A&codes=x", ""),
        ("commitments", "contractId=C", "a"),
        ("commitments", "productId=P", "a"),
        ("commitments", "date=2025-12-31", "a"),
        ("commitments", "date=2026-01-01", "b"),
        ("commitments", "accountId=A&endDateStart=2026-01-02", "b"),
        ("balances", "accountId=A&contractId=", "b"),
        ("balances", "endDateStart=2026-01-01", "cba"),
        ("balances", "endDateEnd=2026-12-31T23:00:00Z", "a"),
        ("balances", "endDateEnd=2026-12-31T23:00:01Z", "ba"),
        ("balances", "unknown=parameter", "dcba"),
    ],
)
def test_filters(
    http: httpx.Client, organization: Organization, entity: str, query: str, expected: str
) -> None:
    for one in organization.ids(entity):
        organization.remove(entity, one)
    for one, raw in RECORDS.items():
        organization.put_raw(entity, one, raw)
    assert ids(http.get(f"{HOME}/{entity}?{query}")) == list(expected)


def test_what_m3ter_sets_cannot_be_set(http: httpx.Client, organization: Organization) -> None:
    mine = {"id": "mine", "version": 9, "dtCreated": "never", "createdBy": "me"}
    created = http.post(f"{HOME}/accounts", json=ACCOUNT | mine).json()
    assert created["version"] == 1
    assert created["createdBy"] == organization.ids("users")[0]
    assert not set(mine.values()) & {created["id"], created["dtCreated"]}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "cba"),
        ("status=PENDING", "a"),
        ("status=APPROVED", "cb"),
        ("locked=false", "ba"),
        ("locked=true", "cba"),
        ("status=APPROVED&locked=false", "b"),
    ],
)
def test_filters_of_bills(
    http: httpx.Client, organization: Organization, query: str, names: str
) -> None:
    for name, status, locked in (("a", "PENDING", False), ("b", "APPROVED", None)):
        organization.add("bills", id=name, accountId="A", status=status, locked=locked)
    organization.add("bills", id="c", accountId="A", status="APPROVED", locked=True)
    found = http.get(f"{HOME}/bills?accountId=A&{query}").json()["data"]
    assert [bill["id"] for bill in found] == list(names)


def test_the_parameters_that_exclude_fields_of_a_bill(
    http: httpx.Client, organization: Organization
) -> None:
    organization.add("bills", id="b", lineItems=[{"id": "l"}], billTotal=Decimal("1.50"))
    for query, shown in (
        ("", {"lineItems"}),
        ("includeBillTotal=true", {"lineItems", "billTotal"}),
        ("excludeLineItems=true&includeBillTotal=true", {"billTotal"}),
    ):
        answer = http.get(f"{HOME}/bills?{query}")
        assert answer.json()["data"][0].keys() & {"lineItems", "billTotal"} == shown
    assert '"billTotal":1.50' in answer.text


def test_a_configuration_of_a_hosted_integration(
    http: httpx.Client, organization: Organization
) -> None:
    one = organization.ids("integrationconfigs")[1]
    found = http.get(f"{HOME}/integrationconfigs/{one}").json()
    assert found == organization.get("integrationconfigs", one)
    there = http.get(f"{HOME}/integrationconfigs?destinationId={found['destinationId']}")
    assert one in ids(there)
    assert ids(http.get(f"{HOME}/integrationconfigs?destinationId=other")) == []


def test_lists_the_children_of_an_account(http: httpx.Client, organization: Organization) -> None:
    parent = organization.add("accounts", name="Parent")
    children = [organization.add("accounts", parentAccountId=parent) for _ in range(2)]
    path = f"{HOME}/accounts/{parent}/children"
    assert ids(http.get(path)) == children[::-1]
    assert ids(http.get(f"{path}?pageSize=1")) == children[-1:]
    assert http.get(f"{path}?pageSize=201").status_code == 400
    assert http.get(f"{HOME}/accounts/unknown/children").status_code == 404


@pytest.mark.parametrize("query", ["codes=a", "productId=a"])
def test_fields_of_any_type_do_not_break_a_filter(
    http: httpx.Client, organization: Organization, query: str
) -> None:
    """Schemathesis found that a list as a code broke the list of accounts."""
    for entity in ("accounts", "commitments"):
        organization.put_raw(entity, "x", b'{"id":"x","code":["a"],"productIds":7}')
        assert ids(http.get(f"{HOME}/{entity}?{query}&pageSize=100&ids=x")) in ([], ["x"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("?externalSystemId=Salesforce", [1, 0]),
        ("?externalSystemId=salesforce", []),
        ("?m3terIds=a", [2, 0]),
        ("?m3terIds=a,b&externalSystemId=Salesforce", [1, 0]),
        ("?integrationConfigId=i", [2]),
        ("?pageSize=200", [2, 1, 0]),
    ],
)
def test_filters_of_external_mappings(
    http: httpx.Client, organization: Organization, query: str, expected: list[int]
) -> None:
    made = [
        organization.add("externalmappings", m3terId=account, externalSystem=system, **more)
        for account, system, more in (
            ("a", "Salesforce", {}),
            ("b", "Salesforce", {}),
            ("a", "NetSuite", {"integrationConfigId": "i"}),
        )
    ]
    found = [one for one in ids(http.get(f"{HOME}/externalmappings{query}")) if one in made]
    assert found == [made[number] for number in expected]
    assert http.get(f"{HOME}/externalmappings?pageSize=201").status_code == 400
