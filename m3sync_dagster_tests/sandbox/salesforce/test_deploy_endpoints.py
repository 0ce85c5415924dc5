"""Deploy requests as several clients send them."""

import io
import json
import zipfile

import pytest

from m3sync_dagster_tests.sandbox.salesforce.plain_client import DATA, Client

PACKAGE = (
    '<Package xmlns="http://soap.sforce.com/2006/04/metadata"><version>67.0</version></Package>'
)


@pytest.mark.parametrize(
    ("part", "status"), [("json", 201), ("entity_content", 201), ("options", 400)]
)
def test_the_name_of_the_part_with_the_options(client: Client, part: str, status: int) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("package.xml", PACKAGE)
    options = json.dumps({"deployOptions": {"checkOnly": True}})
    answer = client.http.post(
        f"{DATA}/metadata/deployRequest",
        files={
            "file": ("package.xml", archive.getvalue(), "application/zip"),
            part: (None, options, "application/json"),
        },
    )
    assert answer.status_code == status
    if status == 201:
        assert answer.json()["deployResult"]["checkOnly"] is True


def test_the_folders_in_an_archive_are_no_components(client: Client) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("package.xml", PACKAGE)
        package.writestr("objects/", "")
    deploy = client.http.post(
        f"{DATA}/metadata/deployRequest",
        files={
            "file": ("package.zip", archive.getvalue(), "application/zip"),
            "json": (None, json.dumps({"deployOptions": {}}), "application/json"),
        },
    ).json()
    polls = [client.get(f"/metadata/deployRequest/{deploy['id']}").json() for _ in range(2)]
    assert polls[1]["deployResult"]["status"] == "Succeeded"
