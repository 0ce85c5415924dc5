"""A plain HTTP client of the sandbox: it sends requests and returns the responses."""

import csv
import io
import json
from decimal import Decimal

import httpx

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster.sandbox.salesforce import Credentials

ACCOUNT = "m3ter_Account__c"
BALANCE = "m3ter_Balance__c"
KEY = "m3ter_Id__c"
DATA = "/services/data/v67.0"


class Client:
    """A client of one org with its own session."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.login()

    def login(self) -> None:
        credentials = Credentials()
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        answer = self.http.post("/services/oauth2/token", data=form)
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.http.get(f"{DATA}{path}", params=query)

    def send(self, method: str, path: str, body: Json = None) -> httpx.Response:
        return self.http.request(method, f"{DATA}{path}", json=body)

    def collection(
        self, rows: list[Json], target: str = ACCOUNT, *, all_or_none: bool = False
    ) -> httpx.Response:
        records = [{"attributes": {"type": target}, **row} for row in rows]
        path = f"/composite/sobjects/{target}/{KEY}"
        return self.send("PATCH", path, {"allOrNone": all_or_none, "records": records})

    def upsert(self, rows: list[Json], target: str = ACCOUNT) -> list[Json]:
        answer = self.collection(rows, target)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def error(self, row: Json, target: str = ACCOUNT) -> Json:
        result = self.upsert([{KEY: "one", **row}], target)[0]
        assert not result["success"]
        return result["errors"][0]

    def records(self, target: str = ACCOUNT) -> dict[str, Json]:
        text = self.http.get(f"/sandbox/records/{target}").text
        return {row[KEY]: row for row in json.loads(text, parse_float=Decimal)}

    def query(self, soql: str) -> Json:
        answer = self.get("/query", q=soql)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, **rule: Json) -> None:
        assert self.http.post("/sandbox/faults", json=rule).status_code == 204

    def schema(self, **change: Json) -> None:
        assert self.http.post("/sandbox/schema", json=change).status_code == 204

    def new_job(self, target: str = ACCOUNT, **options: str) -> str:
        body = {"object": target, "operation": "upsert", "externalIdFieldName": KEY, **options}
        answer = self.send("POST", "/jobs/ingest", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def put(self, job: str, content: bytes) -> httpx.Response:
        return self.http.put(
            f"{DATA}/jobs/ingest/{job}/batches",
            content=content,
            headers={"Content-Type": "text/csv"},
        )

    def close(self, job: str) -> None:
        answer = self.send("PATCH", f"/jobs/ingest/{job}", {"state": "UploadComplete"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "UploadComplete"

    def start(self, content: str, target: str = ACCOUNT, **options: str) -> str:
        job = self.new_job(target, **options)
        assert self.put(job, content.encode()).status_code == 201
        self.close(job)
        return job

    def wait(self, job: str, kind: str = "ingest") -> Json:
        while True:
            info = self.get(f"/jobs/{kind}/{job}").json()
            if info["state"] in {"JobComplete", "Failed", "Aborted"}:
                return info

    def results(self, job: str, name: str) -> list[dict[str, str]]:
        answer = self.get(f"/jobs/ingest/{job}/{name}")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
