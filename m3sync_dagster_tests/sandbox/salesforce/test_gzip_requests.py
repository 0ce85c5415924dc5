"""Request bodies that clients compress."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, DATA, KEY, Client


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies(
    client: Client, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    headers = {"Content-Encoding": encoding}
    row = {"attributes": {"type": ACCOUNT}, KEY: "a"}
    content = compress(json.dumps({"records": [row]}).encode())
    path = f"{DATA}/composite/sobjects/{ACCOUNT}/{KEY}"
    json_type = {"Content-Type": "application/json"}
    saved = client.http.patch(path, content=content, headers=headers | json_type)
    assert saved.json()[0]["success"] is True

    job = client.new_job()
    rows = f"{KEY}\n" + "".join(f"b{n:06d}\n" for n in range(20_000))
    batches = f"{DATA}/jobs/ingest/{job}/batches"
    assert (
        client.http.put(batches, content=compress(rows.encode()), headers=headers).status_code
        == 201
    )
    client.close(job)
    assert client.wait(job)["numberRecordsProcessed"] == 20_000


@pytest.mark.parametrize("body", [b"{}", gzip.compress(b"{}")[:-4]], ids=["plain", "cut off"])
def test_a_body_that_is_not_compressed_as_its_header_says(client: Client, body: bytes) -> None:
    answer = client.http.post(
        f"{DATA}/sobjects/{ACCOUNT}", content=body, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 400
    assert "cannot be decompressed" in answer.json()[0]["message"]
