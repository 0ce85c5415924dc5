"""Bill line item: one charge or credit of a bill. It is carried only where it is asked for.

Source: m3ter's OpenAPI description, ``ListLineItems`` and schema ``BillLineItemResponse``. The list
is that of the whole organization; it can be narrowed to a bill, a commitment or a type, but not to
an account or a status. A line item has no account and no status: those of its bill decide. Only
the bill is a lookup. The other records that it names may have been deleted long ago, and a lookup
to one of them would keep the line item out of Salesforce; they are texts.
"""

from m3sync_dagster.entities._model import (
    AUDIT_FIELDS,
    EntityType,
    Field,
    FieldKind,
    identity,
    money,
)


def units(source: str, salesforce: str) -> Field:
    """A number of units: 16 digits before the decimal point, which is enough for bytes.

    Two decimal places are shown; Salesforce keeps more if they are sent, as for ``money``.
    """
    return Field(source, salesforce, FieldKind.NUMBER, precision=18, scale=2)


BILL_LINE_ITEM = EntityType(
    name="bill_line_item",
    label="Bill Line Item",
    path="lineitems",
    account_field="billId",
    account_filter=None,
    object="m3ter_Bill_Line_Item__c",
    custom_fields=False,
    scoped_by="bill",
    on_request=True,
    fields=(
        Field(
            "title",
            "Name",
            FieldKind.TITLE,
            length=80,
            sources=("description", "lineItemType", "id"),
        ),
        Field("billId", "m3ter_Bill__c", FieldKind.LOOKUP, refers_to="bill"),
        Field("lineItemType", "Line_Item_Type__c", length=80),
        Field("description", "Description__c", length=2000),
        Field("sequenceNumber", "Sequence_Number__c", FieldKind.INTEGER),
        units("quantity", "Quantity__c"),
        units("units", "Units__c"),
        Field("unit", "Unit__c"),
        money("averageUnitPrice", "Average_Unit_Price__c"),
        money("subtotal", "Subtotal__c"),
        Field("currency", "Currency__c", length=40),
        money("conversionRate", "Conversion_Rate__c"),
        money("convertedSubtotal", "Converted_Subtotal__c"),
        Field("servicePeriodStartDate", "Service_Period_Start__c", FieldKind.DATETIME),
        Field("servicePeriodEndDate", "Service_Period_End__c", FieldKind.DATETIME),
        identity("productId", "Product_Id__c"),
        Field("productName", "Product_Name__c"),
        Field("productCode", "Product_Code__c"),
        identity("accountingProductId", "Accounting_Product_Id__c"),
        Field("accountingProductName", "Accounting_Product_Name__c"),
        Field("accountingProductCode", "Accounting_Product_Code__c"),
        identity("contractId", "Contract_Id__c"),
        identity("commitmentId", "Commitment_Id__c"),
        identity("balanceId", "Balance_Id__c"),
        identity("planId", "Plan_Id__c"),
        identity("planGroupId", "Plan_Group_Id__c"),
        identity("pricingId", "Pricing_Id__c"),
        identity("chargeId", "Charge_Id__c"),
        identity("meterId", "Meter_Id__c"),
        identity("aggregationId", "Aggregation_Id__c"),
        identity("compoundAggregationId", "Compound_Aggregation_Id__c"),
        identity("counterId", "Counter_Id__c"),
        identity("creditTypeId", "Credit_Type_Id__c"),
        identity("reasonId", "Reason_Id__c"),
        identity("referencedBillId", "Referenced_Bill_Id__c"),
        identity("referencedLineItemId", "Referenced_Line_Item_Id__c"),
        Field("segment", "Segment__c", FieldKind.JSON, length=32768),
        Field("group", "Group__c", FieldKind.JSON, length=32768),
        Field("bandUsage", "Band_Usage__c", FieldKind.JSON, length=131072),
        Field("additional", "Additional__c", FieldKind.JSON, length=32768),
        Field("jsonUsageGenerated", "JSON_Usage_Generated__c", FieldKind.BOOLEAN),
        *AUDIT_FIELDS,
    ),
)
