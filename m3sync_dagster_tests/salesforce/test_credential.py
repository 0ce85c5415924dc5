"""Credentials are validated before the first request."""

from typing import Any

import pytest

from m3sync_dagster.salesforce import ConnectedApp
from m3sync_dagster.salesforce.login import _arguments
from m3sync_dagster.sync.errors import ConfigurationError

MY_DOMAIN = "https://acme.my.salesforce.com"
SECRET = {"client_secret": "s3cr3t-value"}
JWT = {"username": "u@acme.com", "private_key": "PEM-private-value"}


@pytest.mark.parametrize(
    ("url", "flow", "loopback"),
    [
        (MY_DOMAIN, SECRET, False),
        (f"{MY_DOMAIN}/", SECRET, False),
        ("https://acme--uat.sandbox.my.salesforce.com", SECRET, False),
        ("https://login.salesforce.com", JWT, False),
        ("https://acme.my.salesforce.mil", SECRET, False),
        ("https://acme.my.crmforce.mil", SECRET, False),
        ("https://acme.my.sfcrmapps.cn", JWT, False),
        ("https://acme.cloudforce.com", SECRET, False),
        ("https://ACME.my.salesforce.mil", SECRET, False),
        ("http://127.0.0.1:8123", SECRET, True),
        ("http://localhost:8123/", JWT, True),
        ("http://[::1]:8123", SECRET, True),
        ("https://127.0.0.1:8443", SECRET, True),
    ],
)
def test_a_url_of_salesforce_or_of_this_machine_is_accepted(
    url: str, flow: dict[str, Any], loopback: bool
) -> None:
    assert ConnectedApp(url, "id", **flow).loopback is loopback


@pytest.mark.parametrize(
    ("url", "flow"),
    [
        ("http://acme.my.salesforce.com", SECRET),
        ("http://10.0.0.1:8123", SECRET),
        ("https://salesforce.com.evil.example", SECRET),
        ("https://evilsalesforce.com", SECRET),
        ("https://evilsalesforce.mil", SECRET),
        ("https://acme.my.salesforce.cn", SECRET),
        ("https://salesforce.mil", SECRET),
        ("http://acme.my.salesforce.mil", SECRET),
        ("https://acme.my.salesforce.com:8443", SECRET),
        ("https://user:pw@acme.my.salesforce.com", SECRET),
        ("https://acme.my.salesforce.com/services/oauth2/token", SECRET),
        ("https://login.salesforce.com", SECRET),
        ("https://test.salesforce.com", SECRET),
        ("http://127.0.0.1.evil.example", SECRET),
        ("acme.my.salesforce.com", SECRET),
        ("", SECRET),
        (MY_DOMAIN, {}),
        (MY_DOMAIN, SECRET | JWT),
        (MY_DOMAIN, {"username": "u"}),
        (MY_DOMAIN, {"private_key": "k"}),
        (MY_DOMAIN, SECRET | {"api_version": "v67"}),
    ],
)
def test_any_other_url_is_rejected_with_a_remedy(url: str, flow: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ConnectedApp(url, "id", **flow)
    assert caught.value.remedy
    assert "s3cr3t" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_client_id_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="client id"):
        ConnectedApp(MY_DOMAIN, "", "secret")


@pytest.mark.parametrize("flow", [SECRET, JWT])
def test_no_secret_is_in_the_repr(flow: dict[str, Any]) -> None:
    shown = repr(ConnectedApp(MY_DOMAIN, "id", **flow))
    assert "s3cr3t" not in shown
    assert "PEM" not in shown


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://login.salesforce.com", "login"),
        ("https://test.salesforce.com", "test"),
        (MY_DOMAIN, "login"),
        ("https://acme--uat.sandbox.my.salesforce.com", "test"),
        ("https://acme--uat.my.salesforce.com", "test"),
        ("https://odd-day-1.scratch.my.salesforce.com", "test"),
        ("https://acme-dev-ed.develop.my.salesforce.com", "login"),
        ("https://acme--uat.my.salesforce.mil", "test"),
    ],
)
def test_a_jwt_has_one_of_the_two_audiences(url: str, domain: str) -> None:
    assert _arguments(ConnectedApp(url, "id", **JWT))["domain"] == domain
