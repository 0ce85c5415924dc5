r"""Texts from outside, such as names of records and messages of servers, before people see them.

A terminal obeys control characters: it may clear the screen, change its title or show other words
than those that were sent. So they are shown as escapes, such as ``\x1b``.
"""

import re

_CONTROL = re.compile(
    # Not the line feed and the tabulator; of carriage returns, those before a line feed are one
    # character with it. Then Unicode's separators of lines, and what changes the direction of text.
    r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """The text with its control characters as escapes; its lines stay lines."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escaped_json(json: str) -> str:
    """JSON with the same content, whose control characters are JSON's own escapes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def one_line(text: str) -> str:
    """The text on one line, so that it cannot look like another line of a log."""
    return printable(" ".join(text.split()))
