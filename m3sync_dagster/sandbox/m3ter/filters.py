"""The query parameters that filter a list.

Source: m3ter's OpenAPI description, the parameters of ``ListAccounts``, ``ListContracts``,
``ListCommitments``, ``ListBalances``, ``ListBalanceTransactions``, ``ListBills``,
``ListLineItems``, ``ListExternalMappings`` and ``GetIntegrationConfigs``.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from m3sync_dagster.sandbox.organization import Filter, Keys


def array_parameter(query: QueryParams, name: str) -> frozenset[str] | None:
    """An array parameter, repeated or separated by commas; None if it is not given."""
    values = [one for text in query.getlist(name) for one in text.split(",") if one]
    return frozenset(values) or None


def filters(query: QueryParams, names: Iterable[str]) -> list[Filter]:
    """The conditions on a record's keys, for those of the named parameters that are given.

    Raises:
        HTTPException: a date is not valid (400).
    """
    found = [_FILTERS[name](query[name]) for name in names if name in _FILTERS and name in query]
    codes = array_parameter(query, "codes") if "codes" in names else None
    if codes is not None:
        found.append(_code(codes))
    mapped = array_parameter(query, "m3terIds") if "m3terIds" in names else None
    if mapped is not None:
        found.append(_mapped(mapped))
    return found


def _code(values: frozenset[str]) -> Filter:
    return lambda keys: isinstance(keys.code, str) and keys.code in values


def _mapped(values: frozenset[str]) -> Filter:
    return lambda keys: isinstance(keys.m3ter_id, str) and keys.m3ter_id in values


def _equal(name: str) -> Callable[[str], Filter]:
    """The filter by one key, which has to be the given text."""
    return lambda value: lambda keys: bool(getattr(keys, name) == value)


def _contract(value: str) -> Filter:
    """An empty value selects the records without a contract."""
    return lambda keys: (keys.contract_id or "") == value


def _product(value: str) -> Filter:
    return lambda keys: isinstance(keys.product_ids, list) and value in keys.product_ids


def _active_on(value: str) -> Filter:
    day = _parse_instant(value)
    return lambda keys: (
        _at_or_before(_instant(keys.start_date), day) and _before(day, _instant(keys.end_date))
    )


def _ends_from(value: str) -> Filter:
    limit = _parse_instant(value)
    return lambda keys: _at_or_before(limit, _end(keys))


def _ends_before(value: str) -> Filter:
    limit = _parse_instant(value)
    return lambda keys: _before(_end(keys), limit)


def _locked(value: str) -> Filter:
    """``false`` excludes locked bills; ``true`` includes them."""
    return lambda keys: value == "true" or keys.locked is not True


_FILTERS = {
    "transactionTypeId": _equal("transaction_type_id"),
    "entityType": _equal("entity_type"),
    "entityId": _equal("entity_id"),
    "destinationId": _equal("destination_id"),
    "externalSystemId": _equal("external_system"),  # whether m3ter ignores case is not documented
    "integrationConfigId": _equal("integration_config_id"),
    "billId": _equal("bill_id"),
    "commitmentId": _equal("commitment_id"),
    "lineItemType": _equal("line_item_type"),
    "locked": _locked,
    "status": _equal("status"),
    "accountId": _equal("account_id"),
    "contractId": _contract,
    "productId": _product,
    "date": _active_on,
    "endDateStart": _ends_from,
    "endDateEnd": _ends_before,
}


def _end(keys: Keys) -> datetime | None:
    """A balance with a rollover amount ends at its rollover end date."""
    return _instant(keys.rollover_end_date if keys.rollover_amount else keys.end_date)


def _before(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first < second


def _at_or_before(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first <= second


def _parse_instant(value: str) -> datetime:
    instant = _instant(value)
    if instant is None:
        raise HTTPException(400, f"{value} is not an ISO 8601 date.")
    return instant


def _instant(value: object) -> datetime | None:
    """An ISO 8601 date or date-time; one without an offset is in UTC. None if it is neither."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return instant.replace(tzinfo=instant.tzinfo or UTC) if instant else None
