"""How values are written, whichever way they travel."""

from decimal import Decimal

_LONGEST = 100
"""Digits from the point beyond which a number is no amount; written out it could fill memory."""


def plain(number: Decimal) -> str:
    """Write a number with exactly its digits and without an exponent.

    An absurdly large or small one keeps its exponent, so that Salesforce can refuse it by name.
    """
    return format(number, "f") if abs(number.adjusted()) < _LONGEST else str(number)


def line_ends(text: str) -> str:
    r"""Make every line end a ``\n``: an ingest job fails on any that it is not declared with."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
