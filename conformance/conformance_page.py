"""Writes ``docs/conformance.md``: the figures of each suite, and what fails for which reason."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outcomes import ExpectedFailure, Suite

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"
_HEAD = """\
# Conformance of the sandbox

`make conformance` runs programs that other people wrote against `m3sync sandbox`, and writes this
page. It installs what it needs into `.conformance`; from a fresh clone it took five minutes on two
cores. It fails if a test fails that is not in
[`conformance/expected_failures.toml`](../conformance/expected_failures.toml), and also if a test
passes that is in it.

"""
_TAIL = """
- **m3ter SDK**: the tests of m3ter's own Python SDK that read, from its source archive. They use
  made-up ids, so the sandbox runs with `--lenient`.
- **listed records**: every record that the sandbox lists, against its schema in m3ter's OpenAPI
  description.
- **Schemathesis**: generated requests to each operation that the sandbox serves, first such as the
  description allows, then such as it forbids. No response may be a server error, or differ from the
  description in its status or content type; and for allowed requests, in its schema.
- **simple-salesforce**, **kinetic-core**, **aio-sf**: their public methods that make sense in an
  org: describes, single records, sObject Collections, ingest jobs, query jobs, queries, limits.
  Their own tests need their authors' objects and users, so the calls are written in
  `conformance/clients/python`, with m3sync's objects. simple-salesforce makes https of every URL;
  a transport adapter sends it by http.
- **jsforce, our calls**: the calls that jsforce's own tests in an org make (bulk2, crud, query and
  meta), and what is refused, written in `conformance/clients/jsforce` for the package of npm.
- **jsforce, its own tests**: its files `bulk2`, `connection-crud`, `query` and `connection-meta`,
  which its authors run in real orgs. They are not in the package of npm, so the repository is
  cloned at a fixed tag. Where github.com cannot be reached, they do not run, and the table says so;
  `M3SYNC_JSFORCE` names another address of the repository, such as a local clone. Two of the files
  import the tests of Bulk API 1.0; these are left out.
- **Salesforce CLI**: login with an access token, a deployment of m3sync's own objects, describes,
  records, queries, ingest and query jobs, limits.

Node.js comes with a package of PyPI, in the version that Salesforce's CLI needs. If npm cannot
install a program, its suite does not run, and the table says so.

`conformance/m3ter_api.json` is the part of m3ter's OpenAPI description that the sandbox serves,
without its texts and examples. `python conformance/reduce_description.py FILE` writes it from the
whole description.
"""


def page(suites: Sequence[Suite], expected: dict[str, list[ExpectedFailure]]) -> str:
    """The page as Markdown."""
    return _HEAD + "\n".join(_table(suites)) + "\n" + _TAIL + "\n".join(_reasons(suites, expected))


def _table(suites: Sequence[Suite]) -> Iterator[str]:
    yield "| suite | version | tests | pass | fail as expected |"
    yield "|---|---|---:|---:|---:|"
    for one in suites:
        if one.skipped:
            yield f"| {one.name} | {one.version} | not run: {one.skipped} | | |"
        else:
            counts = f"{len(one.outcomes):,} | {one.passed:,} | {one.failed:,}"
            yield f"| {one.name} | {one.version} | {counts} |"


def _reasons(suites: Sequence[Suite], expected: dict[str, list[ExpectedFailure]]) -> Iterator[str]:
    yield "\n## What fails, and why\n"
    yield "| suite | test | tests | reason |"
    yield "|---|---|---:|---|"
    for suite in (one for one in suites if not one.skipped):
        for entry in expected.get(suite.name, []):
            count = sum(entry.names(one.test) for one in suite.outcomes)
            yield f"| {suite.name} | `{entry.test}` | {count} | {entry.reason} |"
    yield ""
