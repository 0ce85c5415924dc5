"""Asks pip-audit which versions of ``constraints.txt`` have a known vulnerability.

Run: ``make audit``. If pip-audit cannot reach its data for a library, it passes over it and ends as
if all were well. Here that is a failure.

Source of the JSON: pip-audit's README, "Usage", and the output of pip-audit 2.10.
"""

import json
import subprocess
import sys
from typing import Any

from m3sync_dagster_tests.conftest import ROOT

OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json")
FOUND, NOT_AUDITED = 1, 2
"""Exit codes: a vulnerability is known; it is not known whether there is one."""
_NAMED = 5


def main(pip_audit: str) -> int:
    """Run pip-audit, print what it has found, and return the exit code.

    Args:
        pip_audit: the program.
    """
    command = [pip_audit, *OPTIONS, "--requirement", str(ROOT / "constraints.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code, lines = verdict(done.stdout)
    print(*(lines if done.stdout else [*done.stderr.splitlines()[-1:], *lines]), sep="\n")
    return code


def verdict(text: str) -> tuple[int, list[str]]:
    """The exit code, and what to print.

    Args:
        text: the JSON that pip-audit has printed.
    """
    try:
        libraries = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return NOT_AUDITED, ["NOT AUDITED: pip-audit could not reach its data. Is PyPI blocked?"]
    found = [line for library in libraries for line in _vulnerabilities(library)]
    skipped = [str(library["name"]) for library in libraries if "skip_reason" in library]
    if skipped or not libraries:
        return NOT_AUDITED, [*found, _not_audited(skipped, len(libraries))]
    if found:
        return FOUND, found
    return 0, [f"No vulnerability is known of the {len(libraries)} libraries in constraints.txt."]


def _vulnerabilities(library: dict[str, Any]) -> list[str]:
    return [
        f"{library['name']} {library['version']}: {one['id']}, "
        f"fixed in {', '.join(one['fix_versions']) or 'no version yet'}"
        for one in library.get("vulns", [])
    ]


def _not_audited(skipped: list[str], count: int) -> str:
    named = ", ".join(skipped[:_NAMED]) + (", …" if len(skipped) > _NAMED else "")
    return (
        f"NOT AUDITED: no data could be reached for {len(skipped)} of {count} libraries: {named}. "
        "Run make audit where PyPI can be reached."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
