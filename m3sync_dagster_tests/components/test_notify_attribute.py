"""The attribute ``notify``: who is told, and of how many rejected rows."""

import pytest

from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.watched_integrations import guarded_integrations
from m3sync_dagster.guard.health_policy import RejectLimit
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder


def write(folder: DefsFolder, notify: str) -> None:
    folder.write("acme", f"{INTEGRATION}  notify: {notify}\n")


@pytest.mark.parametrize(
    ("notify", "users", "urls_env", "limit"),
    [
        ("{users: [u1, u2]}", ("u1", "u2"), None, RejectLimit(rows=1)),
        ("{urls_env: ACME_URLS}", (), "ACME_URLS", RejectLimit(rows=1)),
        ("{users: [u1], rejected_rows: 7}", ("u1",), None, RejectLimit(rows=7)),
        ("{users: [u1], rejected_share: 0.05}", ("u1",), None, RejectLimit(share=0.05)),
        (
            "{users: [u1], urls_env: A, rejected_rows: 7, rejected_share: 1}",
            ("u1",),
            "A",
            RejectLimit(7, 1.0),
        ),
    ],
)
def test_it_is_read(
    defs_folder: DefsFolder,
    notify: str,
    users: tuple[str, ...],
    urls_env: str | None,
    limit: RejectLimit,
) -> None:
    write(defs_folder, notify)
    (guarded,) = guarded_integrations(load_project())
    assert (guarded.other_users, guarded.urls_env, guarded.reject_limit) == (users, urls_env, limit)


def test_without_it_nobody_is_told_of_rejects(defs_folder: DefsFolder) -> None:
    (guarded,) = guarded_integrations(load_project())
    assert (guarded.users, guarded.urls_env, guarded.reject_limit) == ((), None, None)


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ("{rejected_rows: 3}", "attributes.notify: nobody is to be notified"),
        ("{users: []}", "attributes.notify: nobody is to be notified"),
        ("{users: [u], rejected_rows: 0}", "attributes.notify.rejected_rows: 0 is not a number"),
        ("{users: [u], rejected_share: 0}", "attributes.notify.rejected_share: 0.0 is not a share"),
        ("{users: [u], rejected_share: 5}", "attributes.notify.rejected_share: 5.0 is not a share"),
        ("{user: [u]}", "attributes.notify.user: there is no attribute user here"),
        ("{users: u}", "attributes.notify.users"),
    ],
)
def test_what_is_invalid_is_named(defs_folder: DefsFolder, notify: str, message: str) -> None:
    write(defs_folder, notify)
    (problem,) = load_project().problems
    assert message in problem.message
