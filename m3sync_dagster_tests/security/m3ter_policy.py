"""The permission policy of docs/m3ter-setup.md, enforced before m3ter's sandbox."""

import json
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.docs.blocks import blocks_of

TOKEN = "/oauth/token"
RESOURCES = {
    "accounts": "config:account/*",
    "contracts": "config:contract/*",
    "commitments": "config:commitment/*",
    "balances": "config:balance/*",
    "bills": "billing:bill/*",
    "lineitems": "billing:bill/*",
    "users": "config:user/*",
}
"""What the page says that allows a list, and a record of it."""


def documented_policy() -> dict[str, Any]:
    """The statement that the page tells people to create."""
    page = ROOT / "docs" / "m3ter-setup.md"
    (block,) = (block for block in blocks_of(page) if block.language == "json")
    (statement,) = json.loads(block.text)["permissionPolicy"]
    return dict(statement)


class Policy:
    """Middleware that refuses, with 403, what the policy does not allow.

    Args:
        app: m3ter's sandbox.
        statement: the policy's one statement.
    """

    def __init__(self, app: ASGIApp, statement: dict[str, Any]) -> None:
        assert (statement["effect"], statement["action"]) == ("allow", ["config:retrieve"])
        self._app = app
        self._allowed = frozenset(statement["resource"])
        self.used: set[str] = set()
        """The resources that were read."""
        self.refused: list[str] = []
        """The requests that were refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == TOKEN:
            await self._app(scope, receive, send)
            return
        resource = self._resource_of(scope["path"])
        if resource and scope["method"] == "GET" and resource in self._allowed:
            self.used.add(resource)
            await self._app(scope, receive, send)
            return
        self.refused.append(f"{scope['method']} {scope['path']}")
        answer = JSONResponse({"message": "User is not authorized"}, status_code=403)
        await answer(scope, receive, send)

    def _resource_of(self, path: str) -> str | None:
        """``/organizations/{org}/{list}``, ``…/{list}/{id}``, or a bill's line item."""
        parts = path.strip("/").split("/")
        if parts[2:3] + parts[4:5] == ["bills", "lineitems"]:
            return RESOURCES["lineitems"]
        return RESOURCES.get(parts[2]) if 2 < len(parts) < 5 else None
