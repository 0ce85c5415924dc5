"""Where secrets may go unencrypted."""

import pytest

from m3sync_dagster.loopback import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_only_this_very_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
