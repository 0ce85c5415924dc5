import pytest

from m3sync_dagster.state import postgres_url
from m3sync_dagster.sync.errors import ConfigurationError

URL = "postgresql://user@127.0.0.1/db"


@pytest.mark.parametrize("value", [URL, f" {URL}\n"])
def test_the_address_is_that_of_the_environment(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", value)
    assert postgres_url() == URL


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "the environment variable M3SYNC_POSTGRES_URL is not set"),
        (" ", "the environment variable M3SYNC_POSTGRES_URL is not set"),
        ("mysql://user@127.0.0.1/db", "M3SYNC_POSTGRES_URL"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    value: str | None, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M3SYNC_POSTGRES_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", value)
    with pytest.raises(ConfigurationError, match=cause) as caught:
        postgres_url()
    assert "postgresql://" in caught.value.remedy
