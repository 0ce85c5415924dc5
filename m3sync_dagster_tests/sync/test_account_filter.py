"""Which accounts the lists and the expression of an integration admit."""

import pytest

from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.matching_accounts import MatchingAccounts

EXPRESSION = AccountExpression("currency == USD")
MATCHING = MatchingAccounts(
    EXPRESSION, lambda: [[b'{"id":"usd","currency":"USD"}', b'{"id":"eur","currency":"EUR"}']]
)
EVERY = AccountFilter()
ALLOWED = AccountFilter(allowed=frozenset({"c", "a", "b"}), restricted=frozenset({"b"}))
RESTRICTED = AccountFilter(restricted=frozenset({"b"}))
BY_EXPRESSION = AccountFilter(
    restricted=frozenset({"left out"}), expression=EXPRESSION, matching=MATCHING
)


@pytest.mark.parametrize(
    ("scope", "account", "record", "parent", "unlisted"),
    [
        (EVERY, "a", True, True, True),
        (ALLOWED, "a", True, True, True),
        (ALLOWED, "b", False, False, False),
        (ALLOWED, "other", False, False, False),
        (RESTRICTED, "a", True, True, True),
        (RESTRICTED, "b", False, False, False),
        (BY_EXPRESSION, "usd", True, True, True),
        (BY_EXPRESSION, "eur", False, False, None),
        (BY_EXPRESSION, "not listed", False, True, None),
        (BY_EXPRESSION, "left out", False, False, False),
    ],
)
def test_what_an_account_decides(
    scope: AccountFilter, account: str, *, record: bool, parent: bool, unlisted: bool | None
) -> None:
    assert scope.admits(account) is record
    assert scope.admits_parent(account) is parent
    assert scope.admits_unlisted(account) is unlisted


@pytest.mark.parametrize(
    ("scope", "admitted"),
    [(EVERY, True), (RESTRICTED, True), (ALLOWED, False), (BY_EXPRESSION, False)],
)
def test_a_record_without_an_account_is_in_scope_only_where_every_account_is(
    scope: AccountFilter, *, admitted: bool
) -> None:
    assert scope.admits(None) is admitted


@pytest.mark.parametrize(
    ("scope", "accounts"),
    [
        (EVERY, None),
        (RESTRICTED, None),
        (BY_EXPRESSION, None),
        (ALLOWED, ["a", "c"]),
        (AccountFilter(frozenset({"b"}), frozenset({"b"})), []),
    ],
)
def test_the_accounts_to_request_are_those_that_the_lists_name(
    scope: AccountFilter, accounts: list[str] | None
) -> None:
    assert scope.fetchable() == accounts


def test_an_expression_decides_nothing_before_the_accounts_were_read() -> None:
    with pytest.raises(ValueError, match="was not read"):
        AccountFilter(expression=EXPRESSION).admits("usd")
