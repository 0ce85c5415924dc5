"""Whether an address is this very machine: the one place where secrets may go unencrypted."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
