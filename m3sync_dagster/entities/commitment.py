"""Commitment: an amount a customer has promised to pay; m3ter's Console calls it Prepayment.

Source: m3ter's OpenAPI description, schema ``CommitmentResponse``. It has no name, no code and no
custom fields, so its Salesforce Name is an auto number. ``endDate`` is exclusive.
"""

from m3sync_dagster.entities._model import (
    AUDIT_FIELDS,
    EntityType,
    Field,
    FieldKind,
    identity,
    money,
)

COMMITMENT = EntityType(
    name="commitment",
    label="Commitment",
    path="commitments",
    account_field="accountId",
    account_filter="accountId",
    object="m3ter_Commitment__c",
    custom_fields=False,
    aliases=("prepayment",),
    fields=(
        Field("accountId", "m3ter_Account__c", FieldKind.LOOKUP, refers_to="account"),
        Field("contractId", "m3ter_Contract__c", FieldKind.LOOKUP, refers_to="contract"),
        Field("currency", "Currency__c", length=40),
        money("amount", "Amount__c"),
        money("amountPrePaid", "Amount_Prepaid__c"),
        money("amountFirstBill", "Amount_First_Bill__c"),
        money("amountSpent", "Amount_Spent__c"),
        money("overageSurchargePercent", "Overage_Surcharge_Percent__c"),
        Field("separateOverageUsage", "Separate_Overage_Usage__c", FieldKind.BOOLEAN),
        Field("startDate", "Start_Date__c", FieldKind.DATE),
        Field("endDate", "End_Date__c", FieldKind.DATE),
        Field("billEpoch", "Bill_Epoch__c", FieldKind.DATE, aliases=("First bill date",)),
        Field("billingInterval", "Billing_Interval__c", FieldKind.INTEGER),
        Field("billingOffset", "Billing_Offset__c", FieldKind.INTEGER),
        identity("billingPlanId", "Billing_Plan_Id__c"),
        Field("commitmentFeeDescription", "Fee_Description__c", length=2000),
        Field("commitmentUsageDescription", "Usage_Description__c", length=2000),
        Field("overageDescription", "Overage_Description__c", length=2000),
        Field("commitmentFeeBillInAdvance", "Fee_Bill_In_Advance__c", FieldKind.BOOLEAN),
        Field("feeDates", "Fee_Dates__c", FieldKind.JSON, length=131072),
        Field("childBillingMode", "Child_Billing_Mode__c", length=80),
        Field("lineItemTypes", "Line_Item_Types__c", FieldKind.LIST, length=2000),
        Field("productIds", "Product_Ids__c", FieldKind.LIST, length=32768),
        identity("accountingProductId", "Accounting_Product_Id__c"),
        identity("feesAccountingProductId", "Fees_Accounting_Product_Id__c"),
        identity("drawdownsAccountingProductId", "Drawdowns_Accounting_Product_Id__c"),
        *AUDIT_FIELDS,
    ),
)
