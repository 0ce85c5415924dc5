"""Runs programs that others wrote against the sandbox, and writes ``docs/conformance.md``.

Run: ``make conformance``. Exit code 1 if anything differs from ``expected_failures.toml``.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from client_environment import install
from client_suites import aio_sf, kinetic_core, simple_salesforce
from conformance_page import PAGE, page
from jsforce_suites import jsforce_calls, jsforce_tests
from m3ter_suites import invalid_requests, listed_records, sdk_tests, valid_requests
from outcomes import EXPECTED, Suite, problems_of, read_expected
from salesforce_cli_suite import salesforce_cli

SUITES = (
    sdk_tests,
    listed_records,
    valid_requests,
    invalid_requests,
    simple_salesforce,
    kinetic_core,
    aio_sf,
    jsforce_calls,
    jsforce_tests,
    salesforce_cli,
)
"""The suites, in the order of the page."""
SLOWEST = (salesforce_cli, jsforce_tests)
"""The suites that begin first, because they download most and wait most."""
AT_ONCE = 3


def main() -> int:
    """Run every suite, print its counts and write the page; gives the exit code."""
    begun = time.monotonic()
    install()
    expected, suites = read_expected(EXPECTED.read_text()), _run()
    problems = [
        problem for suite in suites for problem in problems_of(suite, expected.get(suite.name, []))
    ]
    unknown = expected.keys() - {suite.name for suite in suites}
    problems += [f"{name}: there is no such suite; remove its entries" for name in unknown]
    minutes = f"after {(time.monotonic() - begun) / 60:.1f} minutes"
    if problems:
        print("\n".join(problems), file=sys.stderr)
        print(f"{PAGE} is not written, {minutes}")
        return 1
    PAGE.write_text(page(suites, expected))
    print(f"{PAGE} is written, {minutes}")
    return 0


def _run() -> list[Suite]:
    """What each suite gave, in the order of the page. Several run at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        others = [suite for suite in SUITES if suite not in SLOWEST]
        running = {suite: pool.submit(_report, suite) for suite in (*SLOWEST, *others)}
        return [running[suite].result() for suite in SUITES]


def _report(run_suite: Callable[[], Suite]) -> Suite:
    begun = time.monotonic()
    suite = run_suite()
    counts = f"{suite.passed} passed, {suite.failed} failed"
    seconds = round(time.monotonic() - begun)
    print(f"{suite.name}: {suite.skipped or counts} ({seconds} s)", flush=True)
    return suite


if __name__ == "__main__":
    sys.exit(main())
