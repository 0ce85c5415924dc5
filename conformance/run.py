"""Runs programs that others wrote against the sandbox, and writes ``docs/conformance.md``.

Run: ``make conformance``. Exit code 1 if anything differs from ``expected_failures.toml``.
"""

import sys
import time

from client_environment import install
from client_suites import aio_sf, jsforce, kinetic_core, simple_salesforce
from conformance_page import PAGE, page
from m3ter_suites import invalid_requests, listed_records, sdk_tests, valid_requests
from outcomes import EXPECTED, problems_of, read_expected

SUITES = (
    sdk_tests,
    listed_records,
    valid_requests,
    invalid_requests,
    simple_salesforce,
    kinetic_core,
    aio_sf,
    jsforce,
)


def main() -> int:
    """Run every suite, print its counts and write the page; gives the exit code."""
    begun = time.monotonic()
    install()
    expected, suites, problems = read_expected(EXPECTED.read_text()), [], []
    for run_suite in SUITES:
        suite = run_suite()
        suites.append(suite)
        problems += problems_of(suite, expected.get(suite.name, []))
        counts = f"{suite.passed} passed, {suite.failed} failed"
        print(f"{suite.name}: {suite.skipped or counts}", flush=True)
    for name in expected.keys() - {suite.name for suite in suites}:
        problems.append(f"{name}: there is no such suite; remove its entries")
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    PAGE.write_text(page(suites, expected))
    print(f"{PAGE} is written, after {(time.monotonic() - begun) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
