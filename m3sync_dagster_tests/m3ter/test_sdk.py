"""Our import of m3ter's SDK, each time in a process of its own."""

import subprocess
import sys

import pytest

OURS = "from m3sync_dagster.m3ter.sdk import M3ter\n"
LOADED = "sum(name.startswith('m3ter.types.') for name in sys.modules) > 1"
USES = {
    "as an attribute": "import m3ter; one = m3ter.types.AccountResponse",
    "by name": "from m3ter.types import AccountResponse as one",
    "from its module": "from m3ter.types.account_response import AccountResponse as one",
    "by an operation": "one = M3ter(token='t', api_key='k', api_secret='s', org_id='o').accounts",
}


def check(code: str) -> None:
    subprocess.run([sys.executable, "-c", f"import sys\n{code}"], check=True)


def test_the_sdk_is_imported_without_its_models() -> None:
    check(OURS + f"assert not {LOADED}")


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_models_are_there_at_their_first_use(use: str) -> None:
    check(
        f"{OURS}{use}\nassert one\nassert {LOADED}\n"
        "import m3ter.types\n"
        "assert m3ter.types.AccountResponse.__module__.startswith('m3ter.types.')\n"
        "assert m3ter.types is sys.modules['m3ter.types']"
    )


def test_an_sdk_that_is_imported_already_is_left_as_it_is() -> None:
    check(f"import m3ter\nmodels = m3ter.types\n{OURS}assert sys.modules['m3ter.types'] is models")
