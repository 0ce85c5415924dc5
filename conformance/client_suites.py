"""The suites of Python clients of Salesforce, which other people wrote."""

from client_environment import HERE, program, sandbox, version_of
from outcomes import Suite, outcomes_of_script


def simple_salesforce() -> Suite:
    """simple-salesforce, the client that most Python programs use."""
    return _python_client("simple-salesforce")


def kinetic_core() -> Suite:
    """kinetic-core, a client with ingest jobs."""
    return _python_client("kinetic-core")


def aio_sf() -> Suite:
    """aio-sf, an asynchronous client."""
    return _python_client("aio-sf")


def _python_client(package: str) -> Suite:
    script = f"{package.replace('-', '_')}_calls.py"
    with sandbox() as servers:
        done = program(HERE / "clients" / "python" / script, **servers)
    return Suite(package, version_of(package), outcomes_of_script(done, script))
