"""How values are written, in JSON and in CSV alike."""

from decimal import Decimal

_LONGEST = 100
"""Digits before or after the point above which a number is not written out, to limit memory."""


def plain(number: Decimal) -> str:
    """Write a number with exactly its digits and without an exponent.

    An extremely large or small one keeps its exponent; Salesforce then rejects the value.
    """
    return format(number, "f") if abs(number.adjusted()) < _LONGEST else str(number)


def line_ends(text: str) -> str:
    r"""Make every line end ``\n``: an ingest job fails on any other than the declared one."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
