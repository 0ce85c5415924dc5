from hour import UNLIMITED


def test_integrations_share_no_limit_of_requests() -> None:
    assert UNLIMITED.count("requests_per_second: 1000000") == 1
