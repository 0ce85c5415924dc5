"""Reloading the code location in a running webserver."""

import pytest

from m3sync_dagster.cli.reload_code_location import reload_location
from m3sync_dagster_tests.m3ter.scripted_server import Answer, Script, serving
from m3sync_dagster_tests.proxy_servers import http_proxy

LOADED = {"locationOrLoadError": {"__typename": "RepositoryLocation"}}


def test_the_webserver_on_this_machine_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = Answer(body={"data": {"reloadRepositoryLocation": LOADED}})
    with serving(Script(answer)) as script, http_proxy(("127.0.0.1", script.port)) as seen:
        monkeypatch.setenv("M3SYNC_WEBSERVER_URL", script.url)
        for name, value in {"HTTP_PROXY": seen.url, "NO_PROXY": "", "no_proxy": ""}.items():
            monkeypatch.setenv(name, value)
        assert reload_location()
    assert seen == []
    assert [asked.path for asked in script.asked] == ["/graphql"]
