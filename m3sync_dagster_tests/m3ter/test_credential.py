import pytest

from m3sync_dagster.m3ter import M3terAccessKey
from m3sync_dagster.sync.errors import ConfigurationError

SECRET = "sEcReT-7f3a"


def credential(
    base_url: str = "https://api.m3ter.com", organization_id: str = "org", rate: int = 40
) -> M3terAccessKey:
    return M3terAccessKey(organization_id, "key", SECRET, base_url, rate)


def test_defaults_are_m3ters_own_address_and_a_rate_below_its_limit() -> None:
    it = M3terAccessKey("org", "key", SECRET)
    assert (it.base_url, it.requests_per_second) == ("https://api.m3ter.com", 40)


def test_the_secret_is_in_no_repr() -> None:
    assert SECRET not in f"{credential()!r} {credential()}"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.m3ter.com",
        "https://gateway.example.com:8443/m3ter/",
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://localhost:1",
        "http://[::1]:8080",
    ],
)
def test_safe_addresses_are_taken(url: str) -> None:
    assert credential(url).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.m3ter.com",
        "http://api.m3ter.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "https://",
        "https://key:hunter2@api.m3ter.com",
        "https://hunter2@api.m3ter.com",
        "https://api.m3ter.com?secret=hunter2",
        "https://api.m3ter.com/#hunter2",
        "https://[hunter2",
        "https://api.m3ter.com:hunter2",
    ],
)
def test_addresses_that_could_give_the_secret_away_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        credential(url)
    assert "base_url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ["", " org", "org\n", "o\nrg", "\t"])
def test_values_with_stray_spaces_are_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigurationError, match="organization_id"):
        credential(organization_id=value)
    with pytest.raises(ConfigurationError, match="api_secret") as refused:
        M3terAccessKey("org", "key", f"{SECRET}\n")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(("rate", "taken"), [(-1, False), (0, False), (1, True), (500, True)])
def test_the_rate_is_one_or_more(rate: int, taken: bool) -> None:
    if taken:
        assert credential(rate=rate).requests_per_second == rate
    else:
        with pytest.raises(ConfigurationError, match="requests_per_second"):
            credential(rate=rate)
