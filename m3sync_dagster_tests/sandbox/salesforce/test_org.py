"""Sessions, versions, limits, describes, and changes of the schema."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster.sandbox.salesforce import Credentials, Org, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client

TOKEN = "/services/oauth2/token"
CREDENTIALS = Credentials()


@pytest.mark.parametrize(
    ("form", "auth", "error"),
    [
        (
            {"grant_type": "client_credentials"},
            (CREDENTIALS.client_id, CREDENTIALS.client_secret),
            None,
        ),
        ({"grant_type": "client_credentials"}, (CREDENTIALS.client_id, "wrong"), "invalid_client"),
        ({"grant_type": "client_credentials"}, ("wrong", "wrong"), "invalid_client_id"),
        ({"grant_type": "client_credentials"}, None, "invalid_client_id"),
        ({"grant_type": "password"}, None, "unsupported_grant_type"),
        ({}, None, "unsupported_grant_type"),
    ],
)
def test_client_credentials(
    client: Client,
    served: tuple[str, Org],
    form: Json,
    auth: tuple[str, str] | None,
    error: str | None,
) -> None:
    base = str(client.http.base_url).rstrip("/")
    answer = httpx.post(f"{base}{TOKEN}", data=form, auth=auth)

    assert answer.status_code == (400 if error else 200)
    assert answer.json().get("error") == error
    if not error:
        organization_id = served[1].identity.organization_id
        assert answer.json()["access_token"].startswith(f"{organization_id[:15]}!")
        assert answer.json()["instance_url"] == base


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, None),
        ({"aud": "https://test.salesforce.com"}, None),
        ({"aud": "https://elsewhere.invalid"}, "audience is invalid"),
        ({"exp": datetime(2020, 1, 1, tzinfo=UTC)}, "expired authorization code"),
        ({"sub": "unknown"}, "user hasn't approved this consumer"),
        ({"iss": "unknown"}, "client identifier invalid"),
    ],
)
def test_jwt_bearer(key: rsa.RSAPrivateKey, change: Json, error: str | None) -> None:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    answer = ask_with_jwt(key, public.decode(), change)

    assert answer.status_code == (400 if error else 200)
    assert answer.json().get("error_description") == error


def test_jwt_bearer_with_another_key(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    public = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert ask_with_jwt(key, public.decode(), {}).json()["error"] == "invalid_grant"


def ask_with_jwt(key: rsa.RSAPrivateKey, public_key: str, change: Json) -> httpx.Response:
    claims = {
        "iss": CREDENTIALS.client_id,
        "sub": CREDENTIALS.username,
        "aud": "https://login.salesforce.com",
        "exp": datetime.now(UTC) + timedelta(minutes=3),
        **change,
    }
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(claims, key, algorithm="RS256"),
    }
    with running(create_app(credentials=Credentials(public_key=public_key))) as url:
        return httpx.post(f"{url}{TOKEN}", data=form)


def test_the_secret_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials(client_secret="top-secret")).replace("client_id", "")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/services/data/v67.0/limits", 401, "INVALID_SESSION_ID"),
        ("/services/data/v30.0/limits", 410, "UNSUPPORTED_API_VERSION"),
        ("/services/data/v69.0/limits", 404, "NOT_FOUND"),
        ("/services/data/67.0/limits", 404, "NOT_FOUND"),
        ("/elsewhere", 404, "NOT_FOUND"),
    ],
)
def test_refused_requests(client: Client, path: str, status: int, code: str) -> None:
    client.http.headers["Authorization"] = "Bearer 00D000000000001!invalid"
    answer = client.http.get(path)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)


def test_the_error_of_an_expired_session(client: Client) -> None:
    client.http.headers["Authorization"] = "Bearer x"

    assert client.get("/limits").json() == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_a_path_can_begin_with_two_slashes(client: Client) -> None:
    answer = client.http.get(
        httpx.URL(client.http.base_url, raw_path=b"//services/data/v67.0/limits")
    )

    assert "DailyApiRequests" in answer.json()


def test_versions_need_no_session(client: Client) -> None:
    del client.http.headers["Authorization"]
    versions = client.http.get("/services/data/").json()

    assert versions[-2:] == [
        {"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"},
        {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"},
    ]


def test_the_daily_limit(client: Client) -> None:
    client.fault(budget={"max": 3, "used": 0})
    usage = [client.get("/limits").headers["Sforce-Limit-Info"] for _ in range(3)]
    refused = client.get("/limits")

    assert usage == ["api-usage=1/3", "api-usage=2/3", "api-usage=3/3"]
    assert refused.status_code == 403
    assert refused.json() == [
        {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    ]
    client.http.delete("/sandbox/faults")
    limits = client.get("/limits").json()
    assert limits["DailyApiRequests"] == {"Max": 100_000, "Remaining": 99_999}
    assert limits["DailyBulkApiBatches"]["Max"] == 15_000


def test_a_wrong_method(client: Client) -> None:
    answer = client.send("PUT", "/limits")

    assert answer.status_code == 405
    assert answer.json()[0]["errorCode"] == "METHOD_NOT_ALLOWED"


def test_a_uri_that_is_too_long(client: Client) -> None:
    assert client.get("/query", q="x" * 16_400).status_code == 414


def fields_of(client: Client, target: str) -> dict[str, Json]:
    answer = client.get(f"/sobjects/{target}/describe")
    assert answer.status_code == 200
    return {field["name"]: field for field in answer.json()["fields"]}


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
def test_describe_has_every_mapped_field(client: Client, entity: Json) -> None:
    fields = fields_of(client, entity.object)

    assert {field.salesforce for field in entity.fields} <= fields.keys()
    own = fields[KEY]
    assert (own["externalId"], own["unique"], own["idLookup"], own["caseSensitive"]) == (True,) * 4


def test_describe_in_detail(client: Client) -> None:
    fields = fields_of(client, BALANCE)

    def of(name: str, *keys: str) -> list[Json]:
        return [fields[name][key] for key in keys]

    size = ("type", "length", "precision", "scale")
    rights = ("createable", "updateable", "nillable", "defaultedOnCreate")
    assert of("Amount__c", *size) == ["double", 0, 18, 6]
    assert of("Description__c", *size) == ["textarea", 32768, 0, 0]
    assert of("m3ter_Account__c", "type", "referenceTo", "relationshipName") == [
        "reference", [ACCOUNT], "m3ter_Account__r",
    ]  # fmt: skip
    assert of("Allow_Overdraft__c", "type", *rights) == ["boolean", True, True, False, True]
    assert of("Start_Date__c", "type", *rights) == ["datetime", True, True, True, False]
    assert of("Id", *rights) == [False, False, False, True]
    assert of("Name", "type", "length", "nameField", *rights) == [
        "string", 80, True, True, True, True, True,
    ]  # fmt: skip
    commitment = fields_of(client, "m3ter_Commitment__c")["Name"]
    assert (commitment["autoNumber"], commitment["createable"]) == (True, False)


@pytest.mark.parametrize(
    ("kind", "length"),
    [("Email", 80), ("Phone", 40), ("Url", 255), ("TextArea", 255), ("Picklist", 255)],
)
def test_lengths_that_metadata_does_not_give(own_client: Client, kind: str, length: int) -> None:
    own_client.schema(object=ACCOUNT, field="F__c", set={"type": kind})
    fields = own_client.get(f"/sobjects/{ACCOUNT}/describe").json()["fields"]

    assert {field["name"]: field["length"] for field in fields}["F__c"] == length
    longest = "y" * (length - 6) + "@x.org"
    assert own_client.upsert([{KEY: "one", "F__c": longest}])[0]["success"]
    assert own_client.error({"F__c": f"y{longest}"})["statusCode"] == "STRING_TOO_LONG"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Ada.Lovelace+1@Example.ORG", "ada.lovelace+1@example.org"),
        ("a..a@test.jp", "a..a@test.jp"),
        ("a.@test.jp", "a.@test.jp"),
        ("mü@example.org", "mü@example.org"),
        ("ada@(comment)example.org", "ada@(comment)example.org"),
        ("", None),
        (".a@test.jp", "INVALID_EMAIL_ADDRESS"),
        ("ada", "INVALID_EMAIL_ADDRESS"),
        ("ada@", "INVALID_EMAIL_ADDRESS"),
        ("ada@example..org", "INVALID_EMAIL_ADDRESS"),
        ("ada lovelace@example.org", "INVALID_EMAIL_ADDRESS"),
        ("ada@b@example.org", "INVALID_EMAIL_ADDRESS"),
    ],
)
def test_email_addresses(own_client: Client, given: str, stored: str | None) -> None:
    own_client.schema(object=ACCOUNT, field="F__c", set={"type": "Email"})
    (result,) = own_client.upsert([{KEY: "one", "F__c": given}])
    if result["success"]:
        assert own_client.records()["one"]["F__c"] == stored
    else:
        assert result["errors"][0]["statusCode"] == stored
        assert result["errors"][0]["fields"] == ["F__c"]
        assert result["errors"][0]["message"].endswith(f"invalid email address: {given}")


@pytest.mark.parametrize(
    ("text", "fits"), [("x" * 80, True), ("😀" * 40, True), ("😀" * 40 + "x", False)]
)
def test_an_emoji_counts_as_two_characters(client: Client, text: str, *, fits: bool) -> None:
    assert client.upsert([{KEY: "one", "Name": text}])[0]["success"] is fits


def test_global_describe(client: Client) -> None:
    names = {each["name"] for each in client.get("/sobjects").json()["sobjects"]}

    assert {entity.object for entity in ENTITIES.values()} <= names
    assert client.get(f"/sobjects/{ACCOUNT}").json()["objectDescribe"]["keyPrefix"] == "a00"
    assert client.get("/sobjects/Nothing__c/describe").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"sObjects": f"{ACCOUNT},Nothing__c"}, [{"count": 2, "name": ACCOUNT}]),
        ({"sObjects": BALANCE}, [{"count": 0, "name": BALANCE}]),
    ],
)
def test_the_number_of_records(client: Client, query: dict[str, str], expected: object) -> None:
    client.upsert([{KEY: "one", "Name": "One"}, {KEY: "two", "Name": "Two"}])
    assert client.get("/limits/recordCount", **query).json() == {"sObjects": expected}


def test_the_number_of_records_of_all_objects(client: Client) -> None:
    counts = client.get("/limits/recordCount").json()["sObjects"]
    assert {each["name"] for each in counts} >= {entity.object for entity in ENTITIES.values()}


def test_an_unchanged_describe_returns_304(own_client: Client) -> None:
    path = f"/services/data/v67.0/sobjects/{ACCOUNT}/describe"
    seen = {"If-Modified-Since": own_client.http.get(path).headers["Last-Modified"]}
    unchanged = own_client.http.get(path, headers=seen)
    own_client.schema(object=ACCOUNT, field="Tier__c", set={"type": "Text", "length": 20})
    changed = own_client.http.get(path, headers=seen)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert changed.status_code == 200


def test_a_field_and_an_object_can_be_added(own_client: Client) -> None:
    own_client.schema(object=ACCOUNT, field="Tier__c", set={"type": "Text", "length": 3})
    own_client.schema(object="Other__c", add={"label": "Other"})
    own_client.schema(
        object="Other__c",
        field="Ext__c",
        set={"type": "Text", "length": 9, "external_id": True, "unique": True},
    )

    assert own_client.error({"Tier__c": "gold"})["statusCode"] == "STRING_TOO_LONG"
    created = own_client.send("PATCH", "/sobjects/Other__c/Ext__c/1", {"Name": "x"})
    assert created.status_code == 201


@pytest.mark.parametrize(
    ("change", "row", "code"),
    [
        ({"required": True}, {}, "REQUIRED_FIELD_MISSING"),
        ({"length": 2}, {"Code__c": "abc"}, "STRING_TOO_LONG"),
        ({"updateable": False}, {"Code__c": "a"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        (
            {"type": "Picklist", "picklist": ["a"], "restricted": True},
            {"Code__c": "b"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        ),
    ],
)
def test_an_admin_changes_a_field(own_client: Client, change: Json, row: Json, code: str) -> None:
    own_client.schema(object=ACCOUNT, field="Code__c", set=change)

    assert own_client.error(row)["statusCode"] == code


def test_the_error_of_a_missing_required_field(own_client: Client) -> None:
    own_client.schema(object=ACCOUNT, field="Code__c", set={"required": True})
    job = own_client.start(f"{KEY},Name\na,A\n")
    own_client.wait(job)

    failed = own_client.results(job, "failedResults")
    assert failed[0]["sf__Error"] == (
        "REQUIRED_FIELD_MISSING:Required fields are missing: [Code__c]:Code__c --"
    )


def test_an_invisible_field_is_treated_as_missing(own_client: Client) -> None:
    own_client.schema(object=ACCOUNT, field="Code__c", set={"visible": False})

    assert "Code__c" not in fields_of(own_client, ACCOUNT)
    assert own_client.collection([{KEY: "a", "Code__c": "x"}]).status_code == 400
    info = own_client.wait(own_client.start(f"{KEY},Code__c\na,x\n"))
    assert info["errorMessage"] == "InvalidBatch : Field name not found : Code__c"


def test_a_validation_rule(own_client: Client) -> None:
    rule = {"field": "Currency__c", "pattern": "GBP", "message": "No pounds here"}
    own_client.schema(object=ACCOUNT, validation_rule=rule)

    assert own_client.error({"Currency__c": "GBP"}) == {
        "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "No pounds here",
        "fields": ["Currency__c"],
    }
    assert own_client.upsert([{KEY: "a", "Currency__c": "USD"}])[0]["success"]


def test_a_second_unique_field(own_client: Client) -> None:
    own_client.upsert([{KEY: "a", "Code__c": "same"}, {KEY: "b", "Code__c": "other"}])
    own_client.schema(object=ACCOUNT, field="Code__c", set={"unique": True})
    other_id = own_client.records()["a"]["Id"]

    assert own_client.error({"Code__c": "SAME"}) == {
        "statusCode": "DUPLICATE_VALUE",
        "message": f"duplicate value found: Code__c duplicates value on record with id: {other_id}",
        "fields": ["Code__c"],
    }


def test_an_external_id_that_is_not_unique(own_client: Client) -> None:
    own_client.schema(object=ACCOUNT, field="Code__c", set={"external_id": True})
    own_client.upsert([{KEY: "a", "Code__c": "same"}, {KEY: "b", "Code__c": "same"}])
    answer = own_client.send("PATCH", f"/sobjects/{ACCOUNT}/Code__c/same", {})

    assert answer.status_code == 300
    assert all(isinstance(url, str) for url in answer.json())
    assert len(answer.json()) == 2


def test_a_managed_package_prefixes_every_name() -> None:
    app = create_app(prefix="m3ter")
    with running(app) as url, httpx.Client(base_url=url) as http:
        client = Client(http)
        fields = fields_of(client, f"m3ter__{BALANCE}")
        row = {"attributes": {"type": f"m3ter__{ACCOUNT}"}, f"m3ter__{KEY}": "a", "Name": "A"}
        path = f"/composite/sobjects/m3ter__{ACCOUNT}/m3ter__{KEY}"
        saved = client.send("PATCH", path, {"records": [row]}).json()

    assert fields["m3ter__m3ter_Account__c"]["referenceTo"] == [f"m3ter__{ACCOUNT}"]
    assert fields["m3ter__m3ter_Account__c"]["relationshipName"] == "m3ter__m3ter_Account__r"
    assert BALANCE not in app.state.org.schema
    assert saved[0]["success"]


def test_metadata_without_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="object-meta"):
        create_app(metadata=tmp_path)
