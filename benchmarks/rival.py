"""Carries m3ter records to Salesforce with another tool: the process that the comparison measures.

Run by ``compare.py`` with the Python of the tool's own virtual environment: ``python rival.py TOOL
PLAN``. The plan is a JSON file with the URLs, and for each entity its list, object and columns.
None of the tools reads m3ter, so a plain loop reads the pages and maps the records for each of
them: the same one. It prints a JSON object with what the tool itself reports.
"""

import csv
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

Row = dict[str, Any]
EXTERNAL_ID = "m3ter_Id__c"


class Pauses:
    """Replaces ``time.sleep``: every tool waits for its job with the pauses that m3sync makes.

    ``start`` is called before each job.
    """

    def __init__(self, first: float, factor: float, longest: float) -> None:
        self._first, self._factor, self._longest = first, factor, longest
        self._really = time.sleep
        self._next = first

    def start(self) -> None:
        """Begin with the shortest pause again."""
        self._next = self._first

    def sleep(self, _asked: float) -> None:
        """Wait, whatever the tool asks for."""
        pause, self._next = self._next, min(self._next * self._factor, self._longest)
        self._really(pause)


def records(plan: Row, entity: Row) -> Iterator[list[Row]]:
    """The pages of a list, one request after another."""
    with httpx.Client(base_url=plan["m3ter_url"], timeout=60) as client:
        key = (plan["access_key_id"], plan["api_secret"])
        grant = {"grant_type": "client_credentials"}
        token = client.post("/oauth/token", auth=key, data=grant).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        path = f"/organizations/{plan['organization_id']}/{entity['path']}"
        query: dict[str, str | int] = {"pageSize": 100}
        while True:
            page = client.get(path, params=query).raise_for_status().json()
            yield page["data"]
            if not page.get("nextToken"):
                return
            query["nextToken"] = page["nextToken"]


def mapper(entity: Row) -> Callable[[Row], Row]:
    """The function that makes a row of a record: a dict literal, as one would write it by hand."""
    cells = [f"{EXTERNAL_ID!r}: r['id']"]
    cells += [
        f"{column!r}: {_expression(kind, sources)}" for column, kind, sources in entity["columns"]
    ]
    return eval(f"lambda r: {{{', '.join(cells)}}}", {"text": json.dumps})  # noqa: S307 - our own text


def _expression(kind: str, sources: list[str]) -> str:
    if kind == "title":
        return f"({' or '.join(f'r.get({name!r})' for name in sources)} or '')[:80]"
    first, _, nested = sources[0].partition(".")
    value = f"(r.get({first!r}) or {{}}).get({nested!r})" if nested else f"r.get({first!r})"
    if kind == "list":
        return f"';'.join({value} or ()) or None"
    return f"text({value}) if {value} is not None else None" if kind == "json" else value


def rows(plan: Row, entity: Row) -> Iterator[Row]:
    """Every row of an entity."""
    make = mapper(entity)
    for page in records(plan, entity):
        for record in page:
            yield make(record)


def kinetic_core(plan: Row, pauses: Pauses | None) -> Iterator[Row]:
    """kinetic-core: one ingest job for an object; it reads both result sets."""
    from kinetic_core.bulk.client import BulkV2Client
    from kinetic_core.core.session import SalesforceSession

    client = BulkV2Client(SalesforceSession(plan["salesforce_url"], plan["token"]))
    for entity in plan["entities"]:
        sent = list(rows(plan, entity))
        if pauses:
            pauses.start()
        if sent:
            result = client.upsert(entity["object"], sent, EXTERNAL_ID)
            errors = [_failure(row) for row in result.failed_records]
            yield {"ok": result.success_count, "failed": result.failed_count, "errors": errors}


def simple_salesforce(plan: Row, pauses: Pauses | None) -> Iterator[Row]:
    """simple-salesforce: one job from a CSV file; all three result sets are read.

    A file, since it makes two jobs of a list of rows with letters outside ASCII.
    """
    from simple_salesforce import Salesforce

    client = Salesforce(instance_url=plan["salesforce_url"], session_id=plan["token"])
    # It makes https of every URL; this one is taken as it is.
    client.bulk2_url = f"{plan['salesforce_url']}/services/data/v{client.sf_version}/jobs/"
    for entity in plan["entities"]:
        bulk = getattr(client.bulk2, entity["object"])
        path = Path(plan["folder"]) / f"{entity['name']}.csv"
        written = _write_csv(path, plan, entity)
        if pauses:
            pauses.start()
        for job in bulk.upsert(str(path), external_id_field=EXTERNAL_ID) if written else ():
            sets = bulk.get_all_ingest_records(job["job_id"])
            failed = sets["failedRecords"]
            yield {
                "ok": len(sets["successfulRecords"]),
                "failed": len(failed),
                "unprocessed": len(sets["unprocessedRecords"]),
                "errors": [_failure(row) for row in failed],
            }


def _failure(row: Row) -> str:
    """A row of the result set of failed rows, as a caller would report it."""
    return f"{row[EXTERNAL_ID]}: {row['sf__Error']}"


def _write_csv(path: Path, plan: Row, entity: Row) -> int:
    """Write the rows to a file; gives their number."""
    names = [EXTERNAL_ID, *(column for column, _, _ in entity["columns"])]
    number = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows(plan, entity), start=1):  # noqa: B007 - the last is given
            writer.writerow(row)
    return number


def lht(plan: Row, pauses: Pauses | None) -> Iterator[Row]:
    """lht: as a library, over a warehouse that is this loop; one job, with its option for nulls.

    Its function returns no result of a row.
    """
    from lht.salesforce import retl
    from lht.warehouse.base import Warehouse

    class Source(Warehouse):
        def rows(self, query: str) -> list[Row]:
            return list(rows(plan, entities[query]))

        def execute(self, _statement: str) -> None:
            """Its log tables are not kept."""

        def timestamp_literal(self, value: object) -> str:
            return repr(value)

    entities = {entity["name"]: entity for entity in plan["entities"]}
    access = {"access_token": plan["token"], "instance_url": plan["salesforce_url"]}
    for name, entity in entities.items():
        if pauses:
            pauses.start()
        options = {"batch_size": 10_000_000, "clear_nulls": True}
        source = Source(SimpleNamespace())
        result = retl.upsert(source, access, entity["object"], name, EXTERNAL_ID, **options) or {}
        batches = result.pop("batch_results", ())
        yield result | {"errors": [one["error"] for one in batches if "error" in one]}


def drt_core(plan: Row, pauses: Pauses | None) -> Iterator[Row]:
    """drt-core: its ``run`` over a SQLite file, which is filled first; page by page."""
    folder = Path(plan["folder"])
    with sqlite3.connect(folder / "source.db") as database:
        for entity in plan["entities"]:
            _fill(database, plan, entity)
            _write_sync(folder, plan, entity)
    (folder / ".drt").mkdir(exist_ok=True)
    profile = {"local": {"type": "sqlite", "database": str(folder / "source.db")}}
    (folder / ".drt" / "profiles.yml").write_text(json.dumps(profile))
    project = {"name": "comparison", "version": "0.1", "profile": "local"}
    (folder / "drt_project.yml").write_text(json.dumps(project))
    os.chdir(folder)
    os.environ |= {"HOME": str(folder), "DRT_TELEMETRY": "0", "DRT_VALUE": "any"}
    from drt.cli.main import app

    for entity in plan["entities"]:
        if pauses:
            pauses.start()
        code = app(["run", "--select", entity["name"], "--verbose"], standalone_mode=False)
        if code:
            raise RuntimeError(f"drt run ended with exit code {code}")
        yield {"exit": code}


def _fill(database: sqlite3.Connection, plan: Row, entity: Row) -> None:
    columns = [EXTERNAL_ID, *(column for column, _, _ in entity["columns"])]
    names = ", ".join(f'"{column}"' for column in columns)
    database.execute(f"DROP TABLE IF EXISTS {entity['name']}")
    database.execute(f"CREATE TABLE {entity['name']} ({names})")
    values = ", ".join("?" * len(columns))
    make = mapper(entity)
    for page in records(plan, entity):
        database.executemany(
            f"INSERT INTO {entity['name']} VALUES ({values})",  # noqa: S608 - our own names
            [tuple(make(record).values()) for record in page],
        )


def _write_sync(folder: Path, plan: Row, entity: Row) -> None:
    credentials = ("client_id_env", "client_secret_env", "username_env", "password_env")
    destination = {
        "type": "salesforce_bulk",
        "instance_url": plan["salesforce_url"],
        "object_name": entity["object"],
        "operation": "upsert",
        "external_id_field": EXTERNAL_ID,
        **dict.fromkeys(credentials, "DRT_VALUE"),
    }
    sync = {
        "name": entity["name"],
        "model": f"SELECT * FROM {entity['name']}",  # noqa: S608 - as above
        "destination": destination,
        "sync": {"mode": "full", "batch_size": 10_000},
    }
    (folder / "syncs").mkdir(exist_ok=True)
    (folder / "syncs" / f"{entity['name']}.yml").write_text(json.dumps(sync))


TOOLS: dict[str, Callable[[Row, Pauses | None], Iterator[Row]]] = {
    "kinetic-core": kinetic_core,
    "simple-salesforce": simple_salesforce,
    "lht": lht,
    "drt-core": drt_core,
}


def main() -> None:
    """Send every entity of the plan, and print what the tool has reported."""
    plan = json.loads(Path(sys.argv[2]).read_text())
    pauses = Pauses(**plan["pauses"]) if plan["pauses"] else None
    if pauses:
        time.sleep = pauses.sleep  # before the tool is imported
    reported, error = [], None
    try:
        reported.extend(TOOLS[sys.argv[1]](plan, pauses))
    except Exception as problem:  # noqa: BLE001 - what a tool raises is a part of the answer
        error = f"{type(problem).__name__}: {problem}"
    print(f"\n{json.dumps({'reported': reported, 'error': error})}")


if __name__ == "__main__":
    main()
