"""Logins with a secret or a key, and their errors."""

import traceback
from collections.abc import Mapping
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sandbox.salesforce import Credentials, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
)
from m3sync_dagster.sync.salesforce_schema import OrgIdentity
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    SECRET,
    Jobs,
    Sandbox,
    accounts,
    group,
)


def test_a_wrong_secret_is_an_authentication_error_and_not_retried(sandbox: Sandbox) -> None:
    org = SalesforceClient(sandbox.credential("wr0ng-secret"))
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="invalid_client") as caught:
            org.limits()
    assert "Check the client id" in caught.value.remedy
    assert "wr0ng" not in "".join(traceback.format_exception(caught.value))
    assert org.calls == 1
    org.close()


def test_a_credential_revoked_during_a_run_is_an_authentication_error(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    list(org.upsert(ACCOUNTS, group(accounts("a1")), jobs))
    refusal = {"error": "inactive_user", "error_description": "user is inactive"}
    sandbox.inside.faults.add(
        {"path": "oauth2/token", "status": 400, "body": refusal, "times": None}
    )
    sandbox.inside.sessions.clear()
    rows = accounts(*(f"a{i}" for i in range(1_000)))
    with pytest.raises(AuthenticationError, match="inactive"):
        list(org.upsert(ACCOUNTS, group(rows), jobs))
    assert sandbox.inside.calls.counts["POST /services/oauth2/token"] == 2


def test_the_jwt_flow_logs_in_only_its_user() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def limits(url: str, user: str) -> Mapping[str, Mapping[str, object]]:
        credential = ConnectedApp(url, "the-app", username=user, private_key=private)
        with closing(SalesforceClient(credential)) as org:
            return org.limits()

    app = create_app(credentials=Credentials("the-app", SECRET, "u@x.invalid", public.decode()))
    with running(app) as url:
        assert "DailyApiRequests" in limits(url, "u@x.invalid")
        with pytest.raises(AuthenticationError, match="invalid_grant"):
            limits(url, "other@x.invalid")


@pytest.mark.parametrize("pem", ["nonsense", "-----BEGIN PRIVATE KEY-----\nxyz\n"])
def test_an_invalid_private_key_is_a_configuration_error(sandbox: Sandbox, pem: str) -> None:
    credential = ConnectedApp(sandbox.url, "the-app", username="u", private_key=pem)
    org = SalesforceClient(credential)
    with pytest.raises(ConfigurationError, match="not a usable RSA key") as caught:
        org.limits()
    assert "xyz" not in "".join(traceback.format_exception(caught.value))
    org.close()


def test_the_login_names_the_org_and_the_user(org: SalesforceClient, sandbox: Sandbox) -> None:
    known = sandbox.inside.identity
    assert org.identity() == OrgIdentity(known.organization_id[:15], known.user_id[:15])
