"""Splits SOQL into tokens, and describes errors by their position in the query.

Source: Salesforce SOQL and SOSL Reference, "SOQL SELECT Syntax" and "Quoted String Escape
Sequences". The position in messages is shown by apache/camel-quarkus#3022.
"""

import re
from typing import NamedTuple

from m3sync_dagster.sandbox.salesforce.errors import ApiError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:\\.|[^'\\])*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<mark><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE,
)
_SHOWN = 40
"""Characters of the query that a message shows before and after the position."""


class Token(NamedTuple):
    """A token: its kind, such as ``string`` or ``word``, its text and its position."""

    kind: str
    text: str
    at: int


class QueryError(ApiError):
    """Salesforce's error for a query that is wrong at one position.

    Args:
        code: ``errorCode``.
        message: ``message`` without the position.
        at: the position, or a name that the query contains at the position.
    """

    def __init__(self, code: str, message: str, at: int | str) -> None:
        super().__init__(400, code, message)
        self._at = at

    def located(self, soql: str) -> ApiError:
        """The error with a message that shows the position in the query."""
        at = self._at if isinstance(self._at, int) else _find(soql, self._at)
        row, column = soql.count("\n", 0, at) + 1, at - soql.rfind("\n", 0, at)
        start = max(soql.rfind("\n", 0, at) + 1, at - _SHOWN)
        shown = soql[start : at + _SHOWN].partition("\n")[0]
        position = f"\n{shown}\n{' ' * (at - start)}^\nERROR at Row:{row}:Column:{column}\n"
        return ApiError(self.status, self.code, position + self.message)


def _find(soql: str, name: str) -> int:
    found = re.search(rf"(?<![\w.']){re.escape(name)}(?![\w.'])", soql, re.IGNORECASE)
    return found.start() if found else 0


def unexpected(token: Token) -> QueryError:
    """The error for a token that cannot be where it is."""
    return QueryError("MALFORMED_QUERY", f"unexpected token: '{token.text}'", token.at)


def tokens_of(soql: str) -> list[Token]:
    """The tokens of a query, and one for its end.

    Raises:
        QueryError: a part of it is not a token.
    """
    tokens, at, text = [], 0, soql.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise unexpected(Token("", text[start : start + 20].strip(), start))
        kind = found.lastgroup or ""
        tokens.append(Token(kind, found[kind], found.start(kind)))
        at = found.end()
    return [*tokens, Token("end", "<EOF>", len(text))]
