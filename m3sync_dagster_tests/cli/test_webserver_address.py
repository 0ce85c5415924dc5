"""Where commands look for the webserver of a project."""

from pathlib import Path

import pytest

from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.cli.webserver_address import left_in_project, link_address, webserver_urls

DEFAULT = "http://127.0.0.1:3000"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.delenv("M3SYNC_WEBSERVER_URL", raising=False)
    return Environment(tmp_path, embedded=False)


def test_a_server_of_the_project_comes_first(
    project: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webserver_urls(project) == [DEFAULT]
    with left_in_project(project, "http://127.0.0.1:4567"):
        assert webserver_urls(project) == ["http://127.0.0.1:4567", DEFAULT]
        monkeypatch.setenv("M3SYNC_WEBSERVER_URL", "https://dagster.example.com/")
        assert webserver_urls(project) == ["http://127.0.0.1:4567", "https://dagster.example.com"]
    assert webserver_urls(project) == ["https://dagster.example.com"]


def test_links_have_the_address_that_was_set_for_people(
    project: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert link_address(project) == DEFAULT
    with left_in_project(project, "http://127.0.0.1:4567"):
        assert link_address(project) == "http://127.0.0.1:4567"
        monkeypatch.setenv("M3SYNC_WEBSERVER_URL", "https://dagster.example.com/")
        assert link_address(project) == "https://dagster.example.com"


def test_the_address_of_a_second_server_stays_when_the_first_one_ends(
    project: Environment,
) -> None:
    second = left_in_project(project, "http://127.0.0.1:2")
    with left_in_project(project, "http://127.0.0.1:1"):
        second.__enter__()
    assert webserver_urls(project)[0] == "http://127.0.0.1:2"
    second.__exit__(None, None, None)
    assert webserver_urls(project) == [DEFAULT]


def test_a_project_that_cannot_be_written_is_no_problem(project: Environment) -> None:
    project.own_folder.write_text("a file in its place")
    with left_in_project(project, "http://127.0.0.1:1"):
        assert webserver_urls(project) == [DEFAULT]
