"""Writes ``m3ter_api.json``: the part of m3ter's OpenAPI description that the sandbox serves.

Run: ``python conformance/reduce_description.py FILE``, with m3ter's whole description. A fresh
clone has no such file, and it is large (0.9 MB). Only what a check needs is kept: paths,
parameters and schemas, without m3ter's texts and examples.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DESCRIPTION = Path(__file__).with_name("m3ter_api.json")
Node = Any
"""A value of a JSON document, whose shape is only known when it is read."""

_READ_AND_WRITE = ("accounts", "contracts", "commitments", "balances")
_READ = ("bills", "users", "integrationconfigs")
_SEARCH = ("accounts", "commitments", "bills")
_REFERENCE = re.compile(r'"\$ref": "#/components/(\w+)/(\w+)"')
_TEXTS = ("description", "summary", "example", "examples", "tags", "externalDocs", "title")


def served() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The paths that the sandbox serves, without their start, and the methods of each."""
    for entity in _READ_AND_WRITE:
        yield entity, ("get", "post")
        yield f"{entity}/{{id}}", ("get", "put", "delete")
    for entity in _READ:
        yield entity, ("get",)
        yield f"{entity}/{{id}}", ("get",)
    for entity in _SEARCH:
        yield f"{entity}/search", ("get",)
    yield "accounts/{id}/children", ("get",)
    yield "balances/{balanceId}/transactions", ("get", "post")
    yield "balances/{balanceId}/transactions/summary", ("get",)
    yield "customfields", ("get", "put")
    yield "organizationconfig", ("get", "put")


def reduced(whole: Node) -> Node:
    """The part of a description that the sandbox serves, without its texts."""
    paths = {}
    for path, methods in served():
        full = f"/organizations/{{orgId}}/{path}"
        paths[full] = {method: without_texts(whole["paths"][full][method]) for method in methods}
    return {
        "openapi": whole["openapi"],
        "info": {"title": "m3ter API, the part that m3sync's sandbox serves", "version": "1.0"},
        "paths": paths,
        "components": _components(whole["components"], json.dumps(paths)),
    }


def without_texts(node: Node, *, names: bool = False) -> Node:
    """A copy without texts, examples and extensions; ``names`` says that keys are fields' names."""
    if isinstance(node, list):
        return [without_texts(one) for one in node]
    if not isinstance(node, dict):
        return node
    copy = {
        key: without_texts(value, names=key == "properties" and not names)
        for key, value in node.items()
        if names or not (key in _TEXTS or key.startswith("x-") or key == "security")
    }
    # OpenAPI requires that a response has a description.
    return copy | {"description": ""} if "content" in copy and not names else copy


def _components(all_of_them: Node, text: str) -> Node:
    """The components to which a text refers, directly or through others."""
    found: dict[str, dict[str, Node]] = {}
    waiting = set(_REFERENCE.findall(text))
    while waiting:
        kind, name = waiting.pop()
        component = without_texts(all_of_them[kind][name])
        found.setdefault(kind, {})[name] = component
        further = set(_REFERENCE.findall(json.dumps(component)))
        waiting |= {one for one in further if one[1] not in found.get(one[0], {})}
    return {kind: dict(sorted(named.items())) for kind, named in sorted(found.items())}


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text())
    text = json.dumps(reduced(source))
    # A line for each path and schema, so that a difference can be read.
    DESCRIPTION.write_text(
        re.sub(r', ("(?:/organizations/|[A-Z])[^"]*": \{)', r",\n\1", text) + "\n"
    )
