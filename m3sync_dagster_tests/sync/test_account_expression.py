"""Filter expressions over the fields of an account."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3sync_dagster.sync.account_expression import MOST_NESTED, AccountExpression
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.record_decoder import decode_record

ACCOUNT = rb"""{
  "id": "0a1b", "name": "Acme Int\u00e9rieur & Co", "code": "A-1", "currency": "USD",
  "address": {"addressLine1": "1 \"Main\" St", "country": "US", "postCode": "01234",
    "region": null},
  "customFields": {
    "tier": "gold", "seats": 250, "share": 0.5, "debt": -3, "text": "250", "two words": "x",
    "big": 123456789012345678901234567890, "flag": true, "nothing": null, "list": [1],
    "it's": "don't", "dot.ted": "y"
  }
}"""


def matches(text: str, account: bytes = ACCOUNT) -> bool:
    decoded = decode_record(account)
    assert isinstance(decoded, dict)
    return AccountExpression(text).matches(decoded)


TRUE = [
    # Fields, with m3ter's names and those of its API.
    "address.country == US",
    "id == 0a1b",
    "accountCode == A-1 AND code == A-1",
    "currency == USD",
    'accountName == "Acme Intérieur & Co" AND name == "Acme Intérieur & Co"',
    "address.addressLine1 == '1 \"Main\" St'",
    r'address.addressLine1 == "1 \"Main\" St"',
    "customFields.tier == gold",
    'customFields["two words"] == x',
    "customFields['it\\'s'] == \"don't\"",
    "customFields.dot.ted == y",
    # AND binds closer than OR; brackets change that.
    "currency == USD OR currency == EUR AND id == other",
    "(currency == EUR OR currency == USD) AND id == 0a1b",
    "((currency==USD))AND(id==0a1b)",
    "address.country\n  ==\n  US",
    # Texts, and words that begin like an operator.
    "address.country != GB",
    "address.country < ZZ",
    "address.country >= US",
    "currency != ANDORRA AND currency != ORE",
    # Numbers; a text is a number only where an order is asked for.
    "customFields.seats == 250",
    "customFields.seats == 250.0",
    "customFields.seats > 99.5",
    "customFields.seats <= 250",
    "customFields.share == 0.5",
    "customFields.debt < 0",
    "customFields.debt == -3",
    "customFields.big > 123456789012345678901234567889",
    "customFields.text == 250",
    "customFields.text > 99",
    "address.postCode == 01234",
    "address.postCode != 1234",
    "customFields.flag == true",
    # Null and missing values.
    "customFields.nothing == null",
    "customFields.missing == null",
    "address.region == null AND address.locality == null",
    "customFields.tier != null",
    "customFields.missing != gold",
    "customFields.list == null",
    'customFields.missing != "null"',
]
FALSE = [
    "address.country == us",
    "address.country == ' US'",
    "currency == USD AND currency == EUR",
    "(currency == USD OR currency == EUR) AND id == other",
    'customFields.seats == "250"',
    'customFields.seats < "300"',
    "customFields.seats < three",
    "customFields.text == 250.0",
    "customFields.tier > 1",
    "customFields.missing == gold",
    "customFields.missing < 1",
    "customFields.missing >= a",
    "customFields.nothing != null",
    'customFields.nothing == "null"',
    "customFields.tier == null",
]


@pytest.mark.parametrize("text", TRUE)
def test_an_account_that_satisfies_it(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize("text", FALSE)
def test_an_account_that_does_not(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    "account", [b'{"id": "1"}', b'{"id": "1", "address": null}', b'{"id": "1", "address": "US"}']
)
def test_what_is_missing_is_null(account: bytes) -> None:
    assert matches("address.country == null", account)
    assert not matches("address.country == US", account)


DEEP = "(" * (MOST_NESTED + 1) + "id == 1" + ")" * (MOST_NESTED + 1)


@pytest.mark.parametrize(
    ("text", "column", "cause"),
    [
        ("", 1, "ends too early"),
        ("address.country", 16, "ends too early"),
        ("address.country ==", 19, "ends too early"),
        ("id == 1 AND", 12, "ends too early"),
        ("(id == 1", 9, "ends too early"),
        ("id == 1)", 8, "')' is unexpected"),
        ("address.country = US", 17, "'=' is unexpected"),
        ("address.country == New York", 24, "'York' is unexpected"),
        ("id == 1 and id == 2", 9, "'and' is unexpected"),
        ("id == 1 && id == 2", 9, "'&' is unexpected"),
        ("id == 'open", 7, '"\'" is unexpected'),
        ("id == 1 OR adress.country == US", 12, "'adress.country' is no field"),
        ("Address.country == US", 1, "is no field"),
        ("address == US", 1, "is no field"),
        ("customFields == 1", 1, "is no field"),
        ("customFields. == 1", 1, "is no field"),
        ("address['country'] == US", 1, "is no field"),
        ("US == address.country", 1, "'US' is no field"),
        ("null == id", 1, "'null' is no field"),
        ("id == code", 7, "'code' is a field"),
        ("id == customFields.other", 7, "'customFields.other' is a field"),
        ("customFields.seats > null", 22, "null can only be compared with == and !="),
        ("isnull(id) == 1", 7, "'(' is unexpected"),
        ("customFields.a['b'] == 1", 1, "is no field"),
        (DEEP, MOST_NESTED + 1, "levels of brackets"),
        (f"((id == 1)) OR {DEEP}", 15 + MOST_NESTED + 1, "levels of brackets"),
    ],
)
def test_an_error_names_the_column(text: str, column: int, cause: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AccountExpression(text)
    assert f"account_filter, column {column} of the expression: " in refused.value.cause
    assert cause in refused.value.cause
    assert refused.value.remedy
    assert refused.value.where == ("account_filter",)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("foo == 1", "Use one of id, name, accountName, code, accountCode, currency, address."),
        ("foo == 1", ", address.country, customFields.NAME."),
        ("id == code", "If the text is meant, put it in quotes."),
        ("id = 1", "Write comparisons such as address.country == US, joined by AND and OR"),
        (DEEP, "Write comparisons such as address.country == US, joined by AND and OR"),
    ],
)
def test_an_error_says_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AccountExpression(text)
    assert remedy in refused.value.remedy


def test_an_error_names_the_line_of_a_long_expression() -> None:
    with pytest.raises(ConfigurationError, match="line 3, column 5 of the expression"):
        AccountExpression("id ==\n  1\nAND foo == 2")


def test_as_many_brackets_as_are_allowed() -> None:
    inner = "id == 0a1b"
    for _ in range(MOST_NESTED):
        inner = f"({inner} AND id != x OR id == y)"
    assert matches(inner)
    assert matches("id == '((((' " + "OR id == 0a1b " * 5_000)
    assert matches(" OR ".join(["id == '0a1b'"] * (MOST_NESTED + 1)))


WORDS = ["id", "customFields.a", "address.country", "AND", "OR", "null", "1", "-2.5", "NaN", "US"]
SIGNS = ["==", "!=", "<", ">=", "(", ")", "'", '"', "[", "]", "\\", " ", "\n", "\0", "&", "é"]
PARTS = st.sampled_from([*WORDS, *SIGNS, "\ud800"])
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3)


@given(
    st.lists(PARTS, max_size=30).map(" ".join)
    | st.lists(PARTS, max_size=30).map("".join)
    | st.text(),
    st.dictionaries(
        st.sampled_from(["id", "customFields", "address"]),
        VALUES | st.fixed_dictionaries({"a": VALUES, "country": VALUES}),
    ),
)
def test_any_text_is_an_expression_or_our_error(text: str, account: dict[str, object]) -> None:
    try:
        expression = AccountExpression(text)
    except ConfigurationError:
        return
    assert expression.matches(account) in {True, False}
