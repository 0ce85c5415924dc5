"""Parses SOQL: the SELECT statements that a sync and its users send, not the whole language.

Source: Salesforce SOQL and SOSL Reference, "SOQL SELECT Syntax".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from m3sync_dagster.sandbox.salesforce.errors import ApiError


class Literal(NamedTuple):
    """A value in a condition: its text and its kind, such as ``string`` or ``date``."""

    kind: str
    value: str | bool | Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field operator value``; ``IN`` and ``NOT IN`` have several values."""

    path: str
    operator: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """``AND`` or ``OR`` of conditions, or ``NOT`` of one."""

    word: str
    parts: tuple["Condition", ...]


Condition = Comparison | Junction


@dataclass(slots=True)
class Select:
    """A query. ``count`` is for ``SELECT count()``, which has no fields."""

    paths: list[str]
    object: str
    count: bool = False
    where: Condition | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0


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
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_COMPARISONS = {"=", "!=", "<>", "<", ">", "<=", ">="}
_RESERVED = {"from", "where", "order", "limit", "offset", "and", "or", "not", "in", "by", "select"}


def malformed(message: str) -> ApiError:
    """Salesforce's error for a query that it cannot parse."""
    return ApiError(400, "MALFORMED_QUERY", message)


def parse(text: str) -> Select:
    """Parses a query.

    Raises:
        ApiError: ``MALFORMED_QUERY``.
    """
    return _Parser(_tokens(text)).select()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise malformed(f"unexpected token: '{text[at : at + 20].strip()}'")
        tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
        at = found.end()
    return tokens


class _Parser:
    """A recursive descent parser with one method for each rule of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def select(self) -> Select:
        self._expect("select")
        count, paths = self._fields()
        self._expect("from")
        select = Select(paths, self._name(), count)
        if self._accept("where"):
            select.where = self._disjunction()
        if self._accept("order"):
            self._expect("by")
            select.order = self._order()
        if self._accept("limit"):
            select.limit = self._whole_number()
        if self._accept("offset"):
            select.offset = self._whole_number()
        if self._at < len(self._tokens):
            raise malformed(f"unexpected token: '{self._peek()[1]}'")
        return select

    def _fields(self) -> tuple[bool, list[str]]:
        first = self._name()
        if first.lower() == "count" and self._accept("("):
            self._expect(")")
            return True, []
        paths = [first]
        while self._accept(","):
            paths.append(self._name())
        return False, paths

    def _disjunction(self) -> Condition:
        return self._joined("or", self._conjunction)

    def _conjunction(self) -> Condition:
        return self._joined("and", self._single)

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._accept(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _single(self) -> Condition:
        if self._accept("not"):
            return Junction("not", (self._single(),))
        if self._accept("("):
            inner = self._disjunction()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        path = self._name()
        if self._accept("not"):
            self._expect("in")
            return Comparison(path, "not in", self._list())
        if self._accept("in"):
            return Comparison(path, "in", self._list())
        operator = self._take()[1]
        if operator not in _COMPARISONS:
            raise malformed(f"unexpected token: '{operator}'")
        return Comparison(path, "!=" if operator == "<>" else operator, (self._literal(),))

    def _list(self) -> tuple[Literal, ...]:
        self._expect("(")
        values = [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        self._expect(")")
        return tuple(values)

    def _literal(self) -> Literal:
        kind, text = self._take()
        if kind == "string":
            unescaped = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), text[1:-1])
            return Literal(kind, unescaped)
        if kind == "number":
            return Literal(kind, Decimal(text))
        if kind in {"date", "datetime"}:
            return Literal(kind, text)
        words: dict[str, bool | None] = {"null": None, "true": True, "false": False}
        if kind == "word" and text.lower() in words:
            value = words[text.lower()]
            return Literal("null" if value is None else "boolean", value)
        raise malformed(f"unexpected token: '{text}'")

    def _order(self) -> list[tuple[str, bool]]:
        keys = [self._order_key()]
        while self._accept(","):
            keys.append(self._order_key())
        return keys

    def _order_key(self) -> tuple[str, bool]:
        path = self._name()
        descending = self._accept("desc")
        if not descending:
            self._accept("asc")
        return path, descending

    def _whole_number(self) -> int:
        kind, text = self._take()
        if kind != "number" or not text.isdigit():
            raise malformed(f"unexpected token: '{text}'")
        return int(text)

    def _name(self) -> str:
        kind, text = self._take()
        if kind != "word" or text.lower() in _RESERVED:
            raise malformed(f"unexpected token: '{text}'")
        return text

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "<EOF>")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, word: str) -> bool:
        kind, text = self._peek()
        if kind in {"word", "mark"} and text.lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise malformed(f"expecting '{word}', found '{self._peek()[1]}'")
