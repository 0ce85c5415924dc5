from collections.abc import Callable
from pathlib import Path

import pytest

from m3sync_dagster.components.resources import SalesforceResource
from m3sync_dagster.sync.errors import ConfigurationError

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
