"""What m3ter's OpenAPI description says of each record type's routes."""

from dataclasses import dataclass

from m3sync_dagster.sandbox.organization import UnknownRecordError


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that a list leaves out when a query parameter has this value.

    Args:
        field: the record's field.
        parameter: the query parameter.
        value: what it has to be.
        default: what it is when it is not given.
    """

    field: str
    parameter: str
    value: str
    default: str


@dataclass(frozen=True, slots=True)
class Rules:
    """One record type.

    Args:
        filters: the query parameters that narrow its list.
        required: the fields that a create or update must name; None when it is read-only here.
        largest_page: the highest ``pageSize``.
        left_out: fields that a list shows only if it is asked to.
    """

    filters: tuple[str, ...]
    required: tuple[str, ...] | None
    largest_page: int = 100
    left_out: tuple[LeftOut, ...] = ()


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
    "bills": Rules(
        ("ids", "accountId", "locked", "status"),
        None,
        left_out=(
            LeftOut("lineItems", "excludeLineItems", "true", "false"),
            LeftOut("billTotal", "includeBillTotal", "false", "false"),
        ),
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
