"""Links to pages of Dagster's UI."""

import pytest

from m3sync_dagster.runs.dagster_links import run_link, schedule_link

RUN = "61ad90fb-14ce-4ea7-93b9-ebd160ae61be"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (None, "http://127.0.0.1:3000"),
        ("", "http://127.0.0.1:3000"),
        ("https://dagster.example.com/", "https://dagster.example.com"),
        ("https://example.com/dagster", "https://example.com/dagster"),
        ("https://user:hush@dagster.example.com?key=hush", "https://dagster.example.com"),
    ],
)
def test_the_address_is_that_of_the_environment_without_user_and_secret(
    given: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M3SYNC_WEBSERVER_URL", raising=False)
    if given is not None:
        monkeypatch.setenv("M3SYNC_WEBSERVER_URL", given)
    assert run_link(RUN) == f"{address}/runs/{RUN}"
    assert schedule_link("m3sync", "acme_hourly") == (
        f"{address}/locations/__repository__@m3sync/schedules/acme_hourly"
    )


def test_names_are_escaped() -> None:
    assert run_link("../x?y", "http://127.0.0.1:1") == "http://127.0.0.1:1/runs/..%2Fx%3Fy"
    assert "@my%20code%2Fmain/" in schedule_link("my code/main", "acme_hourly")
