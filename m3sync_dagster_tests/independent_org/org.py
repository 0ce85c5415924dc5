"""The HTTP endpoints of the org: login, describes, upserts, jobs and queries."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import jwt
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster_tests.independent_org.jobs import Jobs, UnknownJobError
from m3sync_dagster_tests.independent_org.rows import RowError, Rows
from m3sync_dagster_tests.independent_org.schema import objects_of

TOKEN = "00D!terse"
BASIC = "Basic "
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOOLING_ERRORS: dict[str, tuple[int, str, str]] = {
    "forbidden": (403, "INSUFFICIENT_ACCESS", "insufficient access rights on object id"),
    "unsupported": (400, "INVALID_TYPE", "sObject type 'InstalledSubscriberPackage' is unknown"),
    "disabled": (403, "API_DISABLED_FOR_ORG", "The Tooling API is not for this user"),
}
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Org:
    """One org.

    Attributes:
        tooling: ``open``, ``empty``, or the error of the Tooling API.
        packages: names of the installed packages, by namespace.
        public_key: verifies JWTs; ``None``: the login needs a client secret instead.
        limit_info: whether responses have the usage of API calls.
        calls: every request so far.
        organization_id, user_id: the Ids of the org and of its user.
        names_itself: whether a token response has both, as documented.
    """

    def __init__(self) -> None:
        self.rows = Rows()
        self.user_id = "0055e00000TerseAAC"
        self.jobs = Jobs(self.rows, self.user_id)
        self.packages: dict[str, str] = {}
        self.tooling = "open"
        self.public_key: str | None = None
        self.limit_info = False
        self.calls: list[str] = []
        self.organization_id = "00D5e00000TerseEAC"
        self.names_itself = True

    def install(self, text: str, namespace: str = "", name: str = "") -> None:
        """Add the objects of a package, or of the org itself."""
        self.rows.objects |= objects_of(text, namespace)
        if name:
            self.packages[namespace] = name

    def app(self) -> Starlette:
        """The org as an ASGI application."""
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        path, body = request.url.path, await request.body()
        self.calls.append(f"{request.method} {path}")
        if path == "/services/oauth2/token":
            return self._log_in(dict(parse_qsl(body.decode())), request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        try:
            return self._act(request, body)
        except UnknownJobError:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _act(self, request: Request, body: bytes) -> Response:
        rest = re.sub(r"^/services/data/v[\d.]+/", "", request.url.path).rstrip("/")
        for method, pattern, act in self._endpoints(request, body):
            if method == request.method and (found := re.fullmatch(pattern, rest, re.IGNORECASE)):
                response = act(*found.groups())
                if self.limit_info:
                    response.headers["Sforce-Limit-Info"] = "api-usage=18/15000"
                return response
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _endpoints(
        self, request: Request, body: bytes
    ) -> list[tuple[str, str, Callable[..., Response]]]:
        query, jobs = request.query_params, self.jobs
        return [
            ("GET", r"limits", self._limits),
            ("GET", r"sobjects", self._describe_all),
            ("GET", r"sobjects/(\w+)/describe", self._describe),
            ("GET", r"tooling/query", lambda: self._tooling(query["q"])),
            ("GET", r"query", lambda: self._query(query["q"])),
            ("PATCH", r"composite/sobjects/(\w+)/(\w+)", lambda o, k: self._many(body, o, k)),
            ("PATCH", r"composite/sobjects", lambda: self._many(body)),
            ("POST", r"composite/sobjects/(\w+)", lambda o: self._retrieve(o, _decode(body))),
            ("GET", r"jobs/ingest", lambda: _json(jobs.list())),
            ("POST", r"jobs/(ingest|query)", lambda k: _json(jobs.create(k, _decode(body)))),
            (
                "PUT",
                r"jobs/ingest/(\w+)/batches",
                lambda j: Response(jobs.fill(j, body), 201),
            ),
            (
                "PATCH",
                r"jobs/\w+/(\w+)",
                lambda j: _json(jobs.set_state(j, _decode(body)["state"])),
            ),
            ("GET", r"jobs/\w+/(\w+)", lambda j: _json(jobs.read(j))),
            ("GET", r"jobs/ingest/(\w+)/(\w+)", lambda j, k: _text(jobs.results(j, k.lower()))),
            (
                "GET",
                r"jobs/query/(\w+)/results",
                lambda j: _page(*jobs.page(j, query.get("locator", ""))),
            ),
        ]

    def _log_in(self, form: dict[str, Any], request: Request) -> Response:
        uses_jwt = form.get("grant_type") == JWT_BEARER
        if self.public_key and uses_jwt:
            accepted = _is_valid(form["assertion"], self.public_key)
        else:
            accepted = not uses_jwt and request.headers.get("Authorization", "").startswith(BASIC)
        if not accepted:
            body = {"error": "invalid_grant", "error_description": "authentication failure"}
            return _json(body, 400)
        address = str(request.base_url).rstrip("/")
        body = {"access_token": TOKEN, "instance_url": address, "token_type": "Bearer"}
        if self.names_itself:
            body["id"] = f"https://login.salesforce.com/id/{self.organization_id}/{self.user_id}"
        return _json(body)

    def _limits(self) -> Response:
        return _json({"DailyApiRequests": {"Max": 15000, "Remaining": 14982}})

    def _describe_all(self) -> Response:
        objects = [
            {"name": one.name, "label": one.label, **one.more} for one in self.rows.objects.values()
        ]
        return _json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})

    def _describe(self, name: str) -> Response:
        found = self.rows.objects.get(name)
        if found is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [one.described() for one in found.fields.values()]
        return _json({"name": name, "label": found.label, "fields": fields})

    def _tooling(self, soql: str) -> Response:
        if self.tooling in TOOLING_ERRORS:
            return _error(*TOOLING_ERRORS[self.tooling])
        records: list[dict[str, Any]] = []
        if "FROM InstalledSubscriberPackage" in soql and self.tooling == "open":
            records = [
                {"SubscriberPackage": {"Name": name, "NamespacePrefix": namespace}}
                for namespace, name in self.packages.items()
            ]
        return _json({"size": len(records), "done": True, "records": records})

    def _query(self, soql: str) -> Response:
        if soql.endswith(" FROM Organization"):
            return _json({"totalSize": 1, "done": True, "records": [self._organization()]})
        paths, found = self.rows.select(soql)
        records = [_nested(zip(paths, values, strict=True)) for values in found]
        return _json({"totalSize": len(records), "done": True, "records": records[:2000]})

    def _organization(self) -> dict[str, Any]:
        known = {"Name": "Terse", "IsSandbox": False, "InstanceName": "EU45"}
        return {"attributes": {"type": "Organization"}, "Id": self.organization_id} | known

    def _retrieve(self, object_name: str, wanted: dict[str, Any]) -> Response:
        if len(wanted["ids"]) > 2000:
            return _error(400, "EXCEEDED_ID_LIMIT", "cannot retrieve more than 2000 records")
        return _json(self.rows.retrieve(object_name, wanted["ids"], wanted["fields"]))

    def _many(self, body: bytes, *upsert: str) -> Response:
        """Upsert records by an object's external ID field, or update them by their ids."""
        rows = _decode(body)["records"]
        if len(rows) > 200:
            return _error(400, "EXCEEDED_ID_LIMIT", "cannot submit more than 200 records")
        return _json([self._one(row, *upsert) for row in rows])

    def _one(self, row: dict[str, Any], *upsert: str) -> dict[str, Any]:
        try:
            if not upsert:
                record_id = self.rows.update(row["id"], row)
                return {"id": record_id, "success": True, "errors": []}
            object_name, key = upsert
            record_id, created = self.rows.upsert(object_name, key, row)
        except RowError as error:
            details = {"statusCode": error.code, "message": error.message, "fields": error.fields}
            return {"success": False, "errors": [details]}
        return {"id": record_id, "success": True, "errors": [], "created": created}


def _is_valid(assertion: str, public_key: str) -> bool:
    audience = "https://login.salesforce.com"
    try:
        claims = jwt.decode(assertion, public_key, algorithms=["RS256"], audience=audience)
    except jwt.PyJWTError:
        return False
    return {"iss", "sub", "exp"} <= claims.keys()


def _nested(values: Any) -> dict[str, Any]:  # noqa: ANN401 - pairs
    """A record as a query returns it: fields of a parent are inside its relationship."""
    record: dict[str, Any] = {}
    for path, value in values:
        relation, dot, name = path.partition(".")
        if not dot:
            record[path] = value
        else:
            record[relation] = None if value is None else {name: value}
    return record


def _json(body: object, status: int = 200) -> Response:
    return Response(_encode(body), status, media_type="application/json")


def _text(csv: str) -> Response:
    return Response(csv.encode(), media_type="text/csv; charset=UTF-8")


def _page(csv: str, locator: str) -> Response:
    response = _text(csv)
    response.headers["Sforce-Locator"] = locator
    return response


def _error(status: int, code: str, message: str) -> Response:
    return _json([{"message": message, "errorCode": code}], status)
