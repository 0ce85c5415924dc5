"""The parameters, limits and required fields of each record type, from m3ter's OpenAPI file."""

from dataclasses import dataclass

from m3sync_dagster.sandbox.organization import UnknownRecordError


@dataclass(frozen=True, slots=True)
class ExcludedField:
    """A field that a list excludes when a query parameter has this value.

    Args:
        field: the record's field.
        parameter: the query parameter.
        value: the parameter's value that excludes the field.
        default: the parameter's value when it is not given.
    """

    field: str
    parameter: str
    value: str
    default: str


@dataclass(frozen=True, slots=True)
class Rules:
    """One record type.

    Args:
        filters: the query parameters that filter its list.
        required: the fields that a create or update must have; None if the type is read-only here.
        largest_page: the highest ``pageSize``.
        excluded: the fields that a list can exclude.
        read_by_id: whether one record can be read under the list's path.
    """

    filters: tuple[str, ...]
    required: tuple[str, ...] | None
    largest_page: int = 100
    excluded: tuple[ExcludedField, ...] = ()
    read_by_id: bool = True


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
        excluded=(
            ExcludedField("lineItems", "excludeLineItems", "true", "false"),
            ExcludedField("billTotal", "includeBillTotal", "false", "false"),
        ),
    ),
    "lineitems": Rules(("billId", "commitmentId", "lineItemType"), None, read_by_id=False),
    "users": Rules(("ids",), None, largest_page=200),
    "externalmappings": Rules(
        ("externalSystemId", "m3terIds", "integrationConfigId"),
        ("m3terEntity", "m3terId", "externalSystem", "externalTable", "externalId"),
        largest_page=200,
    ),
    "integrationconfigs": Rules(("destinationId",), None, largest_page=200),
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
