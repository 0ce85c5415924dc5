"""Reloading the code location in a running webserver."""

import json

import pytest

from m3sync_dagster.cli.reload_code_location import reload_location
from m3sync_dagster_tests.m3ter.scripted_server import Answer, Script, serving
from m3sync_dagster_tests.proxy_servers import http_proxy

LOADED = {"locationOrLoadError": {"__typename": "RepositoryLocation"}}
REPOSITORIES = {
    "nodes": [
        {"location": {"name": "other"}, "sensors": [{"name": "a_sensor"}]},
        {"location": {"name": "renamed"}, "sensors": [{"name": "integration_guard"}]},
    ]
}


def test_the_webserver_on_this_machine_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Answer(body={"data": {"repositoriesOrError": REPOSITORIES}})
    loaded = Answer(body={"data": {"reloadRepositoryLocation": LOADED}})
    with serving(Script(found, loaded)) as script, http_proxy(("127.0.0.1", script.port)) as seen:
        for name, value in {"HTTP_PROXY": seen.url, "NO_PROXY": "", "no_proxy": ""}.items():
            monkeypatch.setenv(name, value)
        assert reload_location([script.url])
    assert seen == []
    assert [asked.path for asked in script.asked] == ["/graphql", "/graphql"]
    assert json.loads(script.asked[1].body)["variables"] == {"location": "renamed"}
