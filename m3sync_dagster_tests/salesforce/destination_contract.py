"""What every test server that stands in for Salesforce must do: one test for each behavior.

Names read as a table of contents: this file has the login, describes, record calls and limits, and
``destination_contract_jobs`` has jobs and queries. ``test_destination_contract`` runs all of them.

Sources: REST API Developer Guide; Bulk API 2.0 Developer Guide; Salesforce Help, "OAuth 2.0 Client
Credentials Flow".
"""

# ruff: noqa: S608 - SOQL for test servers, made of constants
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, DATA, KEY, Client

TOKEN_PATH = "/services/oauth2/token"
LONGEST_NAME = 80
MOST_RECORDS = 200


@dataclass(frozen=True)
class Server:
    """A test server with the objects ``ACCOUNT`` and ``BALANCE``, and no records.

    Args:
        http: a client of the server, without a session.
        app: client id and secret of its app.
        fail_next_job: makes the next ingest job fail after so many rows; ``None``: not supported.
        use_up_daily_limit: uses all API calls of the day; ``None``: not supported.
    """

    http: httpx.Client
    app: tuple[str, str]
    fail_next_job: Callable[[int], None] | None = None
    use_up_daily_limit: Callable[[], None] | None = None

    def log_in(self, secret: str | None = None) -> httpx.Response:
        """Request a token with the client-credentials flow."""
        form = {"grant_type": "client_credentials"}
        return self.http.post(TOKEN_PATH, data=form, auth=(self.app[0], secret or self.app[1]))


class LoggedIn(Client):
    """A plain client that logs in with HTTP Basic, as the documents prefer."""

    def __init__(self, server: Server) -> None:
        self.server = server
        super().__init__(server.http)

    def login(self) -> None:
        token = self.server.log_in().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"


@pytest.fixture
def client(server: Server) -> LoggedIn:
    return LoggedIn(server)


def account(client: Client, key: str) -> dict[str, Any]:
    """Read an account by its external ID."""
    fields = f"Id, Name, Code__c, {KEY}"
    found = client.query(f"SELECT {fields} FROM {ACCOUNT} WHERE {KEY} IN ('{key}')")["records"]
    assert len(found) == 1
    return dict(found[0])


def keys(client: Client, target: str = ACCOUNT) -> set[str]:
    """The external IDs of all records of an object."""
    page = client.query(f"SELECT {KEY} FROM {target} WHERE {KEY} != null")
    return {record[KEY] for record in page["records"]}


def status_and_code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()[0]["errorCode"]


class Login:
    """Logging in, and what an expired session gets."""

    def test_a_login_names_the_org_and_the_user(self, server: Server) -> None:
        answer = server.log_in().json()
        assert answer["token_type"] == "Bearer"
        assert answer["instance_url"] == str(server.http.base_url).rstrip("/")
        assert re.search(r"/id/00D[0-9A-Za-z]{12,15}/005[0-9A-Za-z]{12,15}$", answer["id"])

    def test_a_wrong_secret_is_400_with_an_error_code(self, server: Server) -> None:
        answer = server.log_in("wrong")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("invalid_")

    def test_an_unknown_session_is_401(self, client: LoggedIn) -> None:
        client.http.headers["Authorization"] = "Bearer expired"
        assert status_and_code(client.get("/limits")) == (401, "INVALID_SESSION_ID")

    def test_the_supported_api_versions_are_listed(self, client: LoggedIn) -> None:
        versions = client.http.get("/services/data").json()
        assert DATA in {version["url"] for version in versions}


class Describe:
    """Describing one object, and all objects."""

    def test_a_describe_has_types_and_lengths(self, client: LoggedIn) -> None:
        described = client.get(f"/sobjects/{ACCOUNT}/describe").json()
        fields = {field["name"]: field for field in described["fields"]}
        assert described["name"] == ACCOUNT
        assert (fields["Name"]["type"], fields["Name"]["length"]) == ("string", LONGEST_NAME)

    def test_a_describe_marks_the_external_id(self, client: LoggedIn) -> None:
        fields = client.get(f"/sobjects/{ACCOUNT}/describe").json()["fields"]
        (key,) = (field for field in fields if field["name"] == KEY)
        assert (key["externalId"], key["unique"], key["caseSensitive"]) == (True, True, True)

    def test_a_describe_names_the_object_of_a_lookup(self, client: LoggedIn) -> None:
        fields = client.get(f"/sobjects/{BALANCE}/describe").json()["fields"]
        lookup = next(field for field in fields if field["name"] == ACCOUNT)
        assert (lookup["type"], lookup["referenceTo"]) == ("reference", [ACCOUNT])

    def test_a_describe_of_an_unknown_object_is_404(self, client: LoggedIn) -> None:
        response = client.get("/sobjects/Unknown__c/describe")
        assert status_and_code(response) == (404, "NOT_FOUND")

    def test_an_unchanged_describe_is_304(self, client: LoggedIn) -> None:
        url = f"{DATA}/sobjects/{ACCOUNT}/describe"
        since = client.http.get(url).headers["Last-Modified"]
        again = client.http.get(url, headers={"If-Modified-Since": since})
        assert (again.status_code, again.content) == (304, b"")

    def test_all_objects_are_listed(self, client: LoggedIn) -> None:
        listed = client.get("/sobjects").json()["sobjects"]
        assert {ACCOUNT, BALANCE} <= {each["name"] for each in listed}


class Collections:
    """Upserts of up to 200 records by external ID."""

    def test_an_upsert_creates_and_then_updates(self, client: LoggedIn) -> None:
        first = client.upsert([{KEY: "a", "Name": "One"}])[0]
        second = client.upsert([{KEY: "a", "Name": "Two"}])[0]
        assert (first["success"], first["created"]) == (True, True)
        assert (second["success"], second["created"]) == (True, False)
        assert first["id"] == second["id"] == account(client, "a")["Id"]
        assert account(client, "a")["Name"] == "Two"

    def test_results_are_in_the_order_of_the_request(self, client: LoggedIn) -> None:
        rows = [{KEY: key, "Name": key} for key in ("c", "a", "b")]
        ids = [result["id"] for result in client.upsert(rows)]
        assert ids == [account(client, key)["Id"] for key in ("c", "a", "b")]

    def test_external_ids_differ_by_case(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "a"}, {KEY: "A"}])
        assert keys(client) == {"a", "A"}

    def test_null_clears_and_a_missing_field_stays(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "a", "Name": "One", "Code__c": "code"}])
        client.upsert([{KEY: "a", "Code__c": None}])
        assert (account(client, "a")["Name"], account(client, "a")["Code__c"]) == ("One", None)

    def test_a_lookup_is_set_by_the_parents_external_id(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "p"}])
        client.upsert([{KEY: "b", "m3ter_Account__r": {KEY: "p"}}], BALANCE)
        path = f"m3ter_Account__r.{KEY}"
        page = client.query(f"SELECT Id, {path} FROM {BALANCE} WHERE {path} IN ('p')")
        assert [record["m3ter_Account__r"][KEY] for record in page["records"]] == ["p"]

    def test_null_in_the_lookup_field_clears_it(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "p"}])
        client.upsert([{KEY: "b", "m3ter_Account__r": {KEY: "p"}}], BALANCE)
        client.upsert([{KEY: "b", ACCOUNT: None}], BALANCE)
        page = client.query(f"SELECT Id, {ACCOUNT} FROM {BALANCE} WHERE {KEY} != null")
        assert [record[ACCOUNT] for record in page["records"]] == [None]

    def test_an_unknown_parent_is_an_error_of_the_row(self, client: LoggedIn) -> None:
        rows = [{KEY: "b1", "m3ter_Account__r": {KEY: "missing"}}, {KEY: "b2"}]
        results = client.upsert(rows, BALANCE)
        assert [result["success"] for result in results] == [False, True]
        (error,) = results[0]["errors"]
        assert error["statusCode"] == "INVALID_FIELD"
        assert error["message"].startswith("Foreign key external ID: missing not found")

    def test_a_repeated_external_id_rejects_its_rows(self, client: LoggedIn) -> None:
        results = client.upsert([{KEY: "a"}, {KEY: "b"}, {KEY: "a"}])
        assert [result["success"] for result in results] == [False, True, False]
        assert results[0]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"

    def test_a_text_that_is_too_long_is_an_error_of_the_row(self, client: LoggedIn) -> None:
        error = client.error({"Name": "x" * (LONGEST_NAME + 1)})
        assert (error["statusCode"], error["fields"]) == ("STRING_TOO_LONG", ["Name"])
        assert keys(client) == set()

    @pytest.mark.parametrize(("more", "fits"), [("", True), ("x", False)])
    def test_an_emoji_counts_as_two_characters(
        self, client: LoggedIn, more: str, *, fits: bool
    ) -> None:
        text = "🧾" * (LONGEST_NAME // 2) + more
        assert client.upsert([{KEY: "a", "Name": text}])[0]["success"] is fits

    def test_a_number_out_of_range_is_an_error_of_the_row(self, client: LoggedIn) -> None:
        error = client.error({"Amount__c": 10**12}, BALANCE)
        assert error["statusCode"] == "NUMBER_OUTSIDE_VALID_RANGE"

    def test_an_unknown_field_is_an_error_of_the_call(self, client: LoggedIn) -> None:
        response = client.collection([{KEY: "a", "Unknown__c": "x"}, {KEY: "b"}])
        assert status_and_code(response) == (400, "INVALID_FIELD")
        assert keys(client) == set()

    @pytest.mark.parametrize(
        ("target", "field", "value"), [(ACCOUNT, "Name", ["x"]), (BALANCE, "Amount__c", "many")]
    )
    def test_a_value_that_cannot_be_parsed_is_an_error_of_the_call(
        self, client: LoggedIn, target: str, field: str, value: object
    ) -> None:
        response = client.collection([{KEY: "a", field: value}, {KEY: "b"}], target)
        assert status_and_code(response) == (400, "JSON_PARSER_ERROR")
        assert keys(client, target) == set()

    def test_200_records_are_accepted(self, client: LoggedIn) -> None:
        results = client.upsert([{KEY: f"k{number}"} for number in range(MOST_RECORDS)])
        assert [result["created"] for result in results] == [True] * MOST_RECORDS

    def test_201_records_are_an_error_of_the_call(self, client: LoggedIn) -> None:
        response = client.collection([{KEY: f"k{number}"} for number in range(MOST_RECORDS + 1)])
        assert status_and_code(response) == (400, "EXCEEDED_ID_LIMIT")
        assert keys(client) == set()


class CollectionsById:
    """Reads, updates and deletes of records by Salesforce Id."""

    def test_records_are_read_in_the_order_of_their_ids(self, client: LoggedIn) -> None:
        first, second = (
            row["id"] for row in client.upsert([{KEY: "a", "Name": "One"}, {KEY: "b"}])
        )
        missing = f"{first[:-6]}zzzzzz"
        body = {"ids": [second, missing, first], "fields": ["Id", KEY, "Name"]}
        found = client.send("POST", f"/composite/sobjects/{ACCOUNT}", body).json()
        assert [record and record["Id"] for record in found] == [second, None, first]
        assert (found[2][KEY], found[2]["Name"]) == ("a", "One")

    def test_a_record_that_does_not_exist_is_not_updated(self, client: LoggedIn) -> None:
        record_id = client.upsert([{KEY: "a"}])[0]["id"]
        record = {"attributes": {"type": ACCOUNT}, "id": f"{record_id[:-6]}zzzzzz", "Name": "Two"}
        body = {"allOrNone": False, "records": [record]}
        (result,) = client.send("PATCH", "/composite/sobjects", body).json()
        assert not result["success"]
        assert keys(client) == {"a"}

    def test_records_are_updated_by_id(self, client: LoggedIn) -> None:
        record_id = client.upsert([{KEY: "a", "Name": "One"}])[0]["id"]
        record = {"attributes": {"type": ACCOUNT}, "id": record_id, "Name": "Two"}
        body = {"allOrNone": False, "records": [record]}
        (result,) = client.send("PATCH", "/composite/sobjects", body).json()
        assert (result["success"], result["id"]) == (True, record_id)
        assert account(client, "a")["Name"] == "Two"

    def test_a_deleted_record_cannot_be_deleted_again(self, client: LoggedIn) -> None:
        record_id = client.upsert([{KEY: "a"}])[0]["id"]
        path = f"/composite/sobjects?ids={record_id}&allOrNone=false"
        results = [client.send("DELETE", path).json()[0] for _ in range(2)]
        assert [result["success"] for result in results] == [True, False]
        assert results[1]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"
        assert keys(client) == set()


class DailyLimits:
    """The org's API calls of a day."""

    def test_the_limits_resource_has_maximum_and_remaining(self, client: LoggedIn) -> None:
        limit = client.get("/limits").json()["DailyApiRequests"]
        assert 0 < limit["Remaining"] <= limit["Max"]

    def test_every_response_has_the_usage_header(self, client: LoggedIn) -> None:
        usage = client.get("/sobjects").headers["Sforce-Limit-Info"]
        assert re.fullmatch(r"api-usage=\d+/\d+", usage)

    def test_past_the_limit_a_request_is_403(self, client: LoggedIn) -> None:
        assert client.server.use_up_daily_limit
        client.server.use_up_daily_limit()
        assert status_and_code(client.get("/sobjects")) == (403, "REQUEST_LIMIT_EXCEEDED")
