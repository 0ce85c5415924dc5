"""The line items of the sample organization's bills, as records of their own.

Their fields are those of the schema ``BillLineItemResponse`` of m3ter's OpenAPI description. The
bill has the same line items with fewer fields, as in the schema ``BillLineItem``.
"""

from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from m3sync_dagster.sandbox.json_types import JsonObject

PATH = "lineitems"
"""The last segment of their list path."""
_FROM_BILL = {
    "billId": "id",
    "servicePeriodStartDate": "startDateTimeUTC",
    "servicePeriodEndDate": "endDateTimeUTC",
    "dtCreated": "dtCreated",
    "dtLastModified": "dtLastModified",
    "createdBy": "createdBy",
    "lastModifiedBy": "lastModifiedBy",
}
"""A line item's fields that have the value of a field of its bill, if that has one."""
_OF_ALL = ("productId", "accountingProductId", "planId", "pricingId", "contractId")
_OF_USAGE = ("meterId", "aggregationId", "compoundAggregationId", "counterId", "chargeId")
_OF_OTHERS = (
    "planGroupId",
    "commitmentId",
    "balanceId",
    "creditTypeId",
    "reasonId",
    "referencedBillId",
    "referencedLineItemId",
)


def sample_line_items(bill: JsonObject) -> list[JsonObject]:
    """The line items of a bill, oldest first."""
    copied = {name: bill[source] for name, source in _FROM_BILL.items() if bill.get(source)}
    return [
        {**one, **_details(one), **copied, "version": 1, "sequenceNumber": number}
        for number, one in enumerate(bill.get("lineItems") or (), start=1)
    ]


def _details(line_item: JsonObject) -> JsonObject:
    """The fields that only the record has: of a charge for usage, or of another one."""
    if line_item["lineItemType"] == "USAGE":
        return {
            **_ids(line_item, *_OF_ALL, *_OF_USAGE),
            "productName": "Storage, GB",
            "productCode": "storage_gb",
            "segment": {"region": "eu-west-1", "tier": 'a "quoted" value'},
            "group": {"team": "日本"},
            "bandUsage": [_band(line_item)],
            "jsonUsageGenerated": True,
            "averageUnitPrice": Decimal("0.0000125"),
        }
    return {
        **_ids(line_item, *_OF_ALL, *_OF_OTHERS),
        "accountingProductName": "Fees „Süd“",
        "accountingProductCode": "fees",
        "additional": {"note": "by hand"},
        "jsonUsageGenerated": False,
    }


def _ids(line_item: JsonObject, *names: str) -> dict[str, str]:
    return {name: str(uuid5(NAMESPACE_URL, f"{line_item['id']}/{name}")) for name in names}


def _band(line_item: JsonObject) -> JsonObject:
    return {
        **_ids(line_item, "pricingBandId"),
        "lowerLimit": 0,
        "unitPrice": Decimal("0.0000125"),
        "bandUnits": line_item["units"],
        "bandQuantity": line_item["quantity"],
        "bandSubtotal": line_item["subtotal"],
    }
