"""The parts of an address that may be shown in a link."""

from urllib.parse import urlsplit


def shown_address(url: str) -> str:
    """An address without user, password, query and fragment, and without a slash at its end."""
    parts = urlsplit(url.strip())
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/")
