from collections.abc import Callable
from pathlib import Path

import pytest

from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.sync.errors import ConfigurationError

M3TER = M3terResource(
    credential="m3",
    organization_id_env="ORG",
    access_key_id_env="KEY",
    api_secret_env="SECRET",
    base_url_env="URL",
    requests_per_second=40,
)
SECRET_FLOW = SalesforceResource(
    credential="prod",
    login_url_env="LOGIN",
    client_id_env="ID",
    client_secret_env="SECRET",
    username_env=None,
    private_key_file_env=None,
    api_version="67.0",
)
JWT_FLOW = SalesforceResource(
    credential="prod",
    login_url_env="LOGIN",
    client_id_env="ID",
    client_secret_env="SECRET",
    username_env="USER",
    private_key_file_env="FILE",
    api_version="67.0",
)
MISSING: list[tuple[M3terResource | SalesforceResource, dict[str, str], str]] = [
    (
        M3TER,
        {},
        (
            "the environment variables ORG (organization_id_env), KEY (access_key_id_env) and "
            "SECRET (api_secret_env) of the credential m3 are not set"
        ),
    ),
    (
        M3TER,
        {"ORG": "o", "SECRET": "s"},
        "the environment variable KEY, access_key_id_env of the credential m3, is not set",
    ),
    (
        SECRET_FLOW,
        {"LOGIN": "https://acme.my.salesforce.com", "USER": "u"},
        (
            "the environment variables ID (client_id_env) and SECRET (client_secret_env) of the "
            "credential prod are not set"
        ),
    ),
    (
        JWT_FLOW,
        {"SECRET": "s", "ID": "i"},
        (
            "the environment variables LOGIN (login_url_env), USER (username_env) and FILE "
            "(private_key_file_env) of the credential prod are not set"
        ),
    ),
]


@pytest.mark.parametrize(("resource", "given", "cause"), MISSING)
def test_all_missing_variables_of_a_credential_are_named_at_once(
    resource: M3terResource | SalesforceResource,
    given: dict[str, str],
    cause: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ORG", "KEY", "SECRET", "URL", "LOGIN", "ID", "USER", "FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        resource.read()
    assert caught.value.cause == cause
    assert caught.value.where[0] in cause


KEY_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "utf-16": (lambda file: file.write_text("key", "utf-16"), "it is not UTF-8 text"),
    "a folder": (Path.mkdir, "Is a directory"),
    "missing": (lambda _file: None, "No such file or directory"),
}


@pytest.mark.parametrize("kind", KEY_FILES)
def test_a_private_key_file_that_is_no_text_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = KEY_FILES[kind]
    make(tmp_path / "key")
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", "https://acme.my.salesforce.com")
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", "client")
    monkeypatch.setenv("SALESFORCE_USER", "user@example.com")
    monkeypatch.setenv("SALESFORCE_KEY", str(tmp_path / "key"))
    resource = SalesforceResource(
        credential="prod",
        login_url_env="SALESFORCE_LOGIN_URL",
        client_id_env="SALESFORCE_CLIENT_ID",
        client_secret_env="SALESFORCE_CLIENT_SECRET",
        username_env="SALESFORCE_USER",
        private_key_file_env="SALESFORCE_KEY",
        api_version="67.0",
    )
    with pytest.raises(ConfigurationError, match=words) as caught:
        resource.read()
    assert "SALESFORCE_KEY" in str(caught.value)
