"""What m3ter's OpenAPI description says of each record type's routes."""

from dataclasses import dataclass

from m3sync_dagster.sandbox.organization import UnknownRecordError


@dataclass(frozen=True, slots=True)
class Rules:
    """One record type.

    Args:
        filters: the query parameters that narrow its list.
        required: the fields that a create or update must name; None when it is read-only here.
        largest_page: the highest ``pageSize``.
    """

    filters: tuple[str, ...]
    required: tuple[str, ...] | None
    largest_page: int = 100


RULES = {
    "accounts": Rules(("ids", "codes"), ("name", "code", "emailAddress")),
    "contracts": Rules(
        ("ids", "codes", "accountId"), ("accountId", "name", "startDate", "endDate")
    ),
    "commitments": Rules(
        ("ids", "accountId", "contractId", "productId", "date", "endDateStart", "endDateEnd"),
        ("accountId", "amount", "currency", "startDate", "endDate"),
    ),
    "balances": Rules(
        ("ids", "accountId", "contractId", "endDateStart", "endDateEnd"),
        ("accountId", "name", "code", "currency", "startDate", "endDate"),
    ),
    "users": Rules(("ids",), None, largest_page=200),
}


def rules_of(entity: str) -> Rules:
    """The rules of a record type.

    Raises:
        UnknownRecordError: there is no such type.
    """
    try:
        return RULES[entity]
    except KeyError:
        raise UnknownRecordError(f"There is no resource {entity}.") from None
