import httpx
import pytest

from m3sync_dagster_tests.sandbox.m3ter.conftest import HOME


@pytest.mark.parametrize("path", ["customfields", "organizationconfig"])
def test_settings_are_read_and_replaced(http: httpx.Client, path: str) -> None:
    settings = http.get(f"{HOME}/{path}").raise_for_status().json()
    changed = http.put(f"{HOME}/{path}", json=settings).raise_for_status().json()
    assert changed["version"] == settings["version"] + 1
    assert changed["id"] == settings["id"]
    assert http.get(f"{HOME}/{path}").json() == changed
    assert http.put(f"{HOME}/{path}", json=settings).status_code == 409


def test_a_configuration_without_a_required_field_is_refused(http: httpx.Client) -> None:
    settings = http.get(f"{HOME}/organizationconfig").json()
    del settings["currency"]
    answer = http.put(f"{HOME}/organizationconfig", json=settings)
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "Required but missing: currency.",
    )
