"""The JWT bearer flow, with a new key pair."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from m3sync_dagster.components.resources import SalesforceResource
from m3sync_dagster.sandbox import salesforce
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

pytestmark = pytest.mark.slow

USER = "integration@sandbox.invalid"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def jwt(
    stage: Stage,
    defs: Path,
    key: rsa.RSAPrivateKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The integration with a credential of this flow; the URL of an org that has the key."""
    write(defs, "acme", (DEFS / "acme" / "defs.yaml").read_text())
    text = (DEFS / "credentials" / "defs.yaml").read_text()
    flow = "  username_env: SALESFORCE_USERNAME\n  private_key_file_env: SALESFORCE_KEY_FILE\n"
    write(defs, "credentials", f"{text.rstrip()}\n{flow}")
    file = tmp_path / "key.pem"
    file.write_text(private(key))
    monkeypatch.setenv("SALESFORCE_USERNAME", USER)
    monkeypatch.setenv("SALESFORCE_KEY_FILE", str(file))
    monkeypatch.delenv("SALESFORCE_CLIENT_SECRET")
    return str(file)


def credentials(key: rsa.RSAPrivateKey) -> salesforce.Credentials:
    return salesforce.Credentials(public_key=public(key))


def test_the_key_opens_the_org_and_a_sync_goes_through(
    stage: Stage, jwt: str, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(salesforce.create_app(credentials=credentials(key))) as url:
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        checked = stage.run("check", "acme", "--json")
        assert checked.code == 0, checked.out
        assert stage.run("run", "acme").code == 0


def test_the_resource_logs_in_with_it(
    stage: Stage, jwt: str, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = SalesforceResource(
        credential="c",
        login_url_env="SALESFORCE_LOGIN_URL",
        client_id_env="SALESFORCE_CLIENT_ID",
        client_secret_env="SALESFORCE_CLIENT_SECRET",
        username_env="SALESFORCE_USERNAME",
        private_key_file_env="SALESFORCE_KEY_FILE",
        api_version="67.0",
    )
    with running(salesforce.create_app(credentials=credentials(key))) as url:
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        with resource.opened() as opened:
            assert opened.org.limits()["DailyApiRequests"]["Max"] == 100_000


def test_another_key_does_not(
    stage: Stage, jwt: str, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with running(salesforce.create_app(credentials=credentials(other))) as url:
        monkeypatch.setenv("SALESFORCE_LOGIN_URL", url)
        answer = stage.run("check", "acme", "--json")
    (bad,) = [one for one in answer.json if not one["ok"]]
    assert (answer.code, bad["check"]) == (1, "salesforce")
    assert "invalid_grant" in bad["message"]
    assert "PRIVATE KEY" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("text", "words"), [(None, "cannot be read"), ("no key", "not a usable RSA key")]
)
def test_a_key_file_that_is_none(stage: Stage, jwt: str, text: str | None, words: str) -> None:
    if text is None:
        Path(jwt).unlink()
    else:
        Path(jwt).write_text(text)
    answer = stage.run("check", "acme", "--json")
    (bad,) = [one for one in answer.json if not one["ok"]]
    assert (answer.code, bad["check"]) == (2, "salesforce")
    assert words in bad["message"]
