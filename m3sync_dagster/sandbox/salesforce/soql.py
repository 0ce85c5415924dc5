"""Parses SOQL: the SELECT statements that a sync and its users send, not the whole language.

Source: Salesforce SOQL and SOSL Reference, "SOQL SELECT Syntax".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeVar

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError, Token, tokens_of, unexpected

T = TypeVar("T")


class Literal(NamedTuple):
    """A value in a condition: its text and its kind, such as ``string`` or ``date``.

    The text of the kind ``pattern``, after ``LIKE``, still has its escape sequences.
    """

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


class SortKey(NamedTuple):
    """One field of ``ORDER BY``; unless stated, nulls are lowest."""

    path: str
    descending: bool
    nulls_last: bool


class Aggregate(NamedTuple):
    """``COUNT(Id) total``: an aggregate function of a field, and the name of its result."""

    function: str
    path: str
    alias: str


@dataclass(slots=True)
class Select:
    """A query.

    Args:
        paths: the selected fields, and ``FIELDS(ALL)``.
        object: the name after ``FROM``.
        count: whether it is ``SELECT count()``, which has no fields.
        aggregates: the selected aggregate functions.
        group_by: the fields by which records are grouped.
    """

    paths: list[str]
    object: str
    count: bool = False
    aggregates: list[Aggregate] = field(default_factory=list)
    where: Condition | None = None
    group_by: list[str] = field(default_factory=list)
    order: list[SortKey] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0

    @property
    def grouped(self) -> bool:
        """Whether its results are groups of records."""
        return bool(self.aggregates or self.group_by)


_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_COMPARISONS = {"=", "!=", "<>", "<", ">", "<=", ">="}
_RESERVED = {
    "and", "asc", "by", "desc", "for", "from", "group", "in", "like", "limit", "not", "nulls",
    "offset", "or", "order", "select", "where",
}  # fmt: skip
_FUNCTIONS = {"avg", "count", "count_distinct", "max", "min", "sum"}
_FIELD_SETS = {"all", "custom", "standard"}
_READERS = {"reference", "update", "view"}
"""What a query can be ``FOR``; in the sandbox it changes nothing."""


def malformed(message: str) -> ApiError:
    """Salesforce's error for a query that it cannot parse."""
    return ApiError(400, "MALFORMED_QUERY", message)


def parse(text: str) -> Select:
    """Parses a query.

    Raises:
        ApiError: ``MALFORMED_QUERY``.
    """
    try:
        return _Parser(tokens_of(text)).select()
    except QueryError as error:
        raise error.located(text) from None


class _Parser:
    """A recursive descent parser with one method for each rule of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def select(self) -> Select:
        """Read the whole query.

        Raises:
            ApiError: it is malformed.
        """
        self._expect("select")
        select = Select([], "")
        self._fields(select)
        self._expect("from")
        select.object = self._name()
        if self._accept("where"):
            select.where = self._disjunction()
        if self._accept("group"):
            self._expect("by")
            select.group_by = self._separated(self._name)
        if self._accept("order"):
            self._expect("by")
            select.order = self._separated(self._sort_key)
        self._end(select)
        return select

    def _end(self, select: Select) -> None:
        if self._accept("limit"):
            select.limit = self._whole_number()
        if self._accept("offset"):
            select.offset = self._whole_number()
        if self._accept("for"):
            self._one_of(_READERS)
        if self._peek().kind != "end":
            raise unexpected(self._peek())

    def _fields(self, select: Select) -> None:
        for item in self._separated(self._selected):
            if isinstance(item, Aggregate):
                select.aggregates.append(item)
            elif item == "count()":
                select.count = True
            else:
                select.paths.append(item)
        if select.count and (select.paths or select.aggregates):
            raise malformed("COUNT() must be the only element in the SELECT list")
        unnamed = [at for at, found in enumerate(select.aggregates) if not found.alias]
        for number, at in enumerate(unnamed):
            select.aggregates[at] = select.aggregates[at]._replace(alias=f"expr{number}")

    def _selected(self) -> str | Aggregate:
        """A field, ``FIELDS(ALL)``, ``count()`` or an aggregate function."""
        name = self._name()
        if not self._accept("("):
            return name
        word = name.lower()
        if word == "fields":
            found = f"FIELDS({self._one_of(_FIELD_SETS).upper()})"
            self._expect(")")
            return found
        if word not in _FUNCTIONS:
            raise unexpected(self._tokens[self._at - 1])
        if word == "count" and self._accept(")"):
            return "count()"
        path = self._name()
        self._expect(")")
        return Aggregate(word, path, self._alias())

    def _alias(self) -> str:
        token = self._peek()
        return self._name() if token.kind == "word" and token.text.lower() != "from" else ""

    def _separated(self, part: Callable[[], T]) -> list[T]:
        """One part or more, separated by commas."""
        parts = [part()]
        while self._accept(","):
            parts.append(part())
        return parts

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
        if self._accept("like"):
            return Comparison(path, "like", (self._pattern(),))
        operator = self._take()
        if operator.text not in _COMPARISONS:
            raise unexpected(operator)
        word = "!=" if operator.text == "<>" else operator.text
        return Comparison(path, word, (self._literal(),))

    def _list(self) -> tuple[Literal, ...]:
        self._expect("(")
        values = self._separated(self._literal)
        self._expect(")")
        return tuple(values)

    def _pattern(self) -> Literal:
        token = self._take()
        if token.kind != "string":
            raise unexpected(token)
        return Literal("pattern", token.text[1:-1])

    def _literal(self) -> Literal:
        token = self._take()
        kind, text = token.kind, token.text
        if kind == "string":
            return Literal(kind, unescaped(text[1:-1]))
        if kind == "number":
            return Literal(kind, Decimal(text))
        if kind in {"date", "datetime"}:
            return Literal(kind, text)
        words: dict[str, bool | None] = {"null": None, "true": True, "false": False}
        if kind == "word" and text.lower() in words:
            value = words[text.lower()]
            return Literal("null" if value is None else "boolean", value)
        raise unexpected(token)

    def _sort_key(self) -> SortKey:
        path = self._name()
        descending = self._accept("desc")
        if not descending:
            self._accept("asc")
        nulls_last = descending
        if self._accept("nulls"):
            nulls_last = self._one_of({"first", "last"}) == "last"
        return SortKey(path, descending, nulls_last)

    def _whole_number(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdigit():
            raise unexpected(token)
        return int(token.text)

    def _name(self) -> str:
        token = self._take()
        if token.kind != "word" or token.text.lower() in _RESERVED:
            raise unexpected(token)
        return token.text

    def _one_of(self, words: set[str]) -> str:
        token = self._take()
        if token.kind != "word" or token.text.lower() not in words:
            raise unexpected(token)
        return token.text.lower()

    def _peek(self) -> Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, word: str) -> bool:
        token = self._peek()
        if token.kind in {"word", "mark"} and token.text.lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            found = self._peek()
            message = f"expecting '{word}', found '{found.text}'"
            raise QueryError("MALFORMED_QUERY", message, found.at)


def unescaped(text: str) -> str:
    """A quoted string without its escape sequences."""
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), text)


def like_pattern(text: str) -> re.Pattern[str]:
    r"""The regular expression for a pattern of ``LIKE``, which ignores case.

    ``%`` is any text and ``_`` any one character; ``\%`` and ``\_`` are these characters.
    """
    parts = re.findall(r"\\.|[^\\]", text, re.DOTALL)
    wildcards = {"%": ".*", "_": "."}
    written = (wildcards.get(part) or re.escape(unescaped(part)) for part in parts)
    return re.compile("".join(written), re.IGNORECASE | re.DOTALL)
