"""Checking Salesforce Ids of 15 and of 18 characters.

The first three characters name the object. Capital and small letters of an Id of 15 characters
differ; the three more of an Id of 18 encode which of the others are capital letters.

Source: Salesforce Help 000385585 (Ids of 15 and of 18 characters).
"""

import re

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?", re.ASCII)
_CHECK_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PARTS = (0, 5, 10)
KEY_PREFIXES = {"Account": "001"}
"""How the Ids of an object's records begin. Source: Object Reference, "Account"."""


def full_id(text: object, object_name: str) -> str | None:
    """The Id of 18 characters that a text is; ``None`` if it is not the Id of such a record.

    Args:
        text: an Id of 15 or of 18 characters.
        object_name: API name of the record's object. Only for those in ``KEY_PREFIXES`` the first
            characters are checked.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        return None
    if not text.startswith(KEY_PREFIXES.get(object_name, "")):
        return None
    complete = text[:15] + "".join(_check_character(text[at : at + 5]) for at in _PARTS)
    return complete if complete.startswith(text) else None


def _check_character(part: str) -> str:
    """The character whose place in the table has a bit set for each capital letter."""
    return _CHECK_CHARACTERS[sum(1 << bit for bit, one in enumerate(part) if one.isupper())]
