"""What the scripts of Python clients share: the address, a session, and the check of calls.

The clients' own tests need an org with a user's password or with objects of their authors, so the
scripts make the same kinds of calls with Account and m3sync's objects. Each prints one outcome a
line.
"""

import json
import os
from collections.abc import Callable, Iterator

import httpx

KEY, VERSION = "m3ter_Id__c", "67.0"
OBJECT = "m3ter_Account__c"
ROWS = [{KEY: f"row {number}", "Name": f"Näme, {number}"} for number in range(5)]
URL = os.environ["SALESFORCE_LOGIN_URL"]
QUERY = f"SELECT Id, {KEY}, Name FROM {OBJECT} ORDER BY {KEY}"  # noqa: S608 - of constants
Call = tuple[str, Callable[[], object], object]
"""A test: its name, a call, and what the call must give."""


def token() -> str:
    """A session, by the client credentials flow."""
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["SALESFORCE_CLIENT_ID"],
        "client_secret": os.environ["SALESFORCE_CLIENT_SECRET"],
    }
    answer = httpx.post(f"{URL}/services/oauth2/token", data=form)
    session: str = answer.raise_for_status().json()["access_token"]
    return session


def names(described: dict[str, list[dict[str, str]]]) -> set[str]:
    """The names of the objects in a description of all objects."""
    return {one["name"] for one in described["sobjects"]}


def error_of(call: Callable[[], object]) -> str:
    """The text of the error that a call raises; empty if it raises none."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - each client has its own errors
        return f"{error} {getattr(error, 'response_body', '')}"
    return ""


def refused(code: str, call: Callable[[], object]) -> Callable[[], object]:
    """A call that gives True if the other call is refused with this error code."""

    def check() -> object:
        text = error_of(call)
        return True if code in text else text

    return check


def run(calls: Iterator[Call]) -> None:
    """Make the calls in their order, and print their outcomes."""
    for name, call, expected in calls:
        try:
            given = call()
            error = None if given == expected else f"{given!r} in place of {expected!r}"[:300]
        except Exception as problem:  # noqa: BLE001 - whatever fails is the outcome
            error = f"{type(problem).__name__}: {problem}"[:300]
        print(json.dumps({"test": name, "error": error}))
