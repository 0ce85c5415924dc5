"""m3ter's filter expressions over the fields of an account, such as ``address.country == US``.

Source: m3ter documentation, "Managing Multiple Destinations for Integrations", for the fields and
the text without quotes; "m3ter Calculation Engine", for the operators. What m3ter does not say is
decided here, and documented in ``docs/account-filter.md``: how values of different types compare.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, NoReturn, TypeVar

from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

ATTRIBUTE = "account_filter"
"""The YAML attribute that holds an expression."""
MOST_NESTED = 50
"""Levels of brackets that an expression may have."""

_GRAMMAR = r"""
?start: either
?either: both ("OR" both)*
?both: one ("AND" one)*
?one: comparison | "(" either ")"
comparison: field OPERATOR value
field: WORD ["[" QUOTED "]"]
value: WORD | QUOTED
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">"
QUOTED: /"(\\.|[^"\\])*"/s | /'(\\.|[^'\\])*'/s
WORD: /[^\s()\[\]"'=!<>&|]+/
%ignore /\s+/
"""
_ADDRESS = ("addressLine1", "addressLine2", "addressLine3", "addressLine4")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "name": ("name",),
    "accountName": ("name",),
    "code": ("code",),
    "accountCode": ("code",),
    "currency": ("currency",),
    **{
        f"address.{part}": ("address", part)
        for part in (*_ADDRESS, "locality", "region", "postCode", "country")
    },
}
"""The fields that an expression may name, each with its path in m3ter's JSON."""
_CUSTOM = "customFields"
_ORDERS: Mapping[str, frozenset[int]] = {
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    ">": frozenset({1}),
    ">=": frozenset({0, 1}),
}
"""What ``_order`` may be for each operator."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_BRACKETS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[()]", re.DOTALL)
"""Brackets, and quoted texts, whose brackets do not count."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SYNTAX = (
    "Write comparisons such as address.country == US, joined by AND and OR; the operators are "
    "==, !=, <, <=, > and >=. Put a text with spaces or signs in quotes."
)


@dataclass(frozen=True, slots=True)
class _Literal:
    """What a field is compared with.

    Args:
        text: as it is written, without its quotes; ``None`` for ``null``.
        number: its value, if it is written as a number without quotes.
    """

    text: str | None
    number: Decimal | None = None


@dataclass(frozen=True, slots=True)
class _Comparison:
    path: tuple[str, ...]
    operator: str
    literal: _Literal

    def matches(self, account: Mapping[str, object]) -> bool:
        value = _value(account, self.path)
        if self.operator in {"==", "!="}:
            return _equal(value, self.literal) is (self.operator == "==")
        return _ordered(value, self.operator, self.literal)


@dataclass(frozen=True, slots=True)
class _Joined:
    """Conditions that have to be true all, or at least one of them."""

    conditions: tuple["_Condition", ...]
    all_of_them: bool

    def matches(self, account: Mapping[str, object]) -> bool:
        found = (one.matches(account) for one in self.conditions)
        return all(found) if self.all_of_them else any(found)


_Condition = _Comparison | _Joined
_Ordered = TypeVar("_Ordered", str, Decimal)


@dataclass(frozen=True)
class AccountExpression:
    """An expression that an account satisfies or not.

    Args:
        text: the expression.

    Raises:
        ConfigurationError: it cannot be read; the cause names the column.
    """

    text: str

    def __post_init__(self) -> None:
        self._condition  # noqa: B018 - an error is raised now, and not in a run

    def matches(self, account: Mapping[str, object]) -> bool:
        """Whether an account, decoded from m3ter's JSON, satisfies the expression."""
        return self._condition.matches(account)

    @cached_property
    def _condition(self) -> _Condition:
        return _Reader(self.text).read()


class _Reader:
    """Reads the text of an expression."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> _Condition:
        """Read the expression.

        Raises:
            ConfigurationError: it cannot be read.
        """
        from lark.exceptions import (  # noqa: PLC0415 - only a filter needs a parser
            UnexpectedCharacters,
            UnexpectedToken,
        )

        self._refuse_deep()
        try:
            tree = _parser().parse(self._text)
        except UnexpectedCharacters as error:
            self._refuse(error.pos_in_stream, f"{error.char!r} is unexpected")
        except UnexpectedToken as error:
            if error.token.type == "$END":
                self._refuse(len(self._text), "the expression ends too early")
            self._refuse(error.token.start_pos, f"{str(error.token)!r} is unexpected")
        return self._condition(tree)

    def _refuse_deep(self) -> None:
        """Refuse more brackets than can be evaluated, before they are read."""
        depth = 0
        for found in _BRACKETS.finditer(self._text):
            depth += {"(": 1, ")": -1}.get(found[0], 0)
            if depth > MOST_NESTED:
                self._refuse(found.start(), f"there are more than {MOST_NESTED} levels of brackets")

    def _condition(self, tree: "Tree[Token]") -> _Condition:
        if tree.data == "comparison":
            return self._comparison(*tree.children)  # type: ignore[arg-type] # as in the grammar
        inner = tuple(self._condition(one) for one in _trees(tree))
        return _Joined(inner, all_of_them=tree.data == "both")

    def _comparison(self, field: "Tree[Token]", sign: "Token", value: "Tree[Token]") -> _Comparison:
        path = self._path(*field.children)  # type: ignore[arg-type] # the grammar has tokens there
        (token,) = value.scan_values(lambda _: True)
        literal = self._literal(token)
        if literal.text is None and sign not in {"==", "!="}:
            self._refuse(token.start_pos, "null can only be compared with == and !=")
        return _Comparison(path, str(sign), literal)

    def _path(self, word: "Token", key: "Token | None") -> tuple[str, ...]:
        """The path of a field in m3ter's JSON."""
        outer, _, inner = word.partition(".")
        if key is not None and word == _CUSTOM:
            return _CUSTOM, _unquoted(key)
        if key is None and outer == _CUSTOM and inner:
            return _CUSTOM, inner
        if key is not None or word not in _FIELDS:
            known = ", ".join([*_FIELDS, f"{_CUSTOM}.NAME"])
            self._refuse(
                word.start_pos, f"{str(word)!r} is no field of an account", f"Use one of {known}."
            )
        return _FIELDS[word]

    def _literal(self, token: "Token") -> _Literal:
        if token.type == "QUOTED":
            return _Literal(_unquoted(token))
        if token == "null":  # noqa: S105 - a token of the grammar
            return _Literal(None)
        if token in _FIELDS or token.startswith(f"{_CUSTOM}."):
            self._refuse(
                token.start_pos,
                f"{str(token)!r} is a field, and a field is compared with a value",
                "If the text is meant, put it in quotes.",
            )
        return _Literal(str(token), _number(token))

    def _refuse(self, position: int | None, cause: str, remedy: str = _SYNTAX) -> NoReturn:
        before = self._text[:position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        lines = f"line {line}, " if "\n" in self._text.strip() else ""
        raise ConfigurationError(
            f"{ATTRIBUTE}, {lines}column {column} of the expression: {cause}", remedy, (ATTRIBUTE,)
        )


@cache
def _parser() -> "Lark":
    from lark import Lark  # noqa: PLC0415 - only a filter needs a parser

    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


def _trees(tree: "Tree[Token]") -> Iterator["Tree[Token]"]:
    yield from tree.children  # type: ignore[misc] # the grammar has no token here


def _unquoted(quoted: str) -> str:
    return _ESCAPED.sub(r"\1", quoted[1:-1])


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _value(account: Mapping[str, object], path: tuple[str, ...]) -> str | Decimal | None:
    """The value of a field; ``None`` if it is missing or neither a text nor a number."""
    value: object = account
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return Decimal(value)
    return value if isinstance(value, str | Decimal) else None


def _equal(value: str | Decimal | None, literal: _Literal) -> bool:
    if isinstance(value, Decimal):
        return value == literal.number
    return value == literal.text


def _ordered(value: str | Decimal | None, sign: str, literal: _Literal) -> bool:
    """Numbers are compared by value, texts by their characters; nothing else has an order."""
    if literal.number is not None:
        number = _number(value) if isinstance(value, str) else value
        return number is not None and _order(number, literal.number) in _ORDERS[sign]
    if not isinstance(value, str) or literal.text is None:
        return False
    return _order(value, literal.text) in _ORDERS[sign]


def _order(first: _Ordered, second: _Ordered) -> int:
    return (first > second) - (first < second)
