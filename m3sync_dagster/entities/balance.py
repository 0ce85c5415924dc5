"""Balance: credit that an account draws down.

Source: m3ter's OpenAPI description, schema ``BalanceResponse``. Its amount can change without its
version, and its start and end are date-times, while a contract's are dates.
"""

from m3sync_dagster.entities._model import (
    AUDIT_FIELDS,
    EntityType,
    Field,
    FieldKind,
    identity,
    money,
)

BALANCE = EntityType(
    name="balance",
    label="Balance",
    path="balances",
    account_field="accountId",
    account_filter="accountId",
    object="m3ter_Balance__c",
    custom_fields=True,
    fields=(
        Field("title", "Name", FieldKind.TITLE, length=80, sources=("name", "code", "id")),
        Field("accountId", "m3ter_Account__c", FieldKind.LOOKUP, refers_to="account"),
        Field("contractId", "m3ter_Contract__c", FieldKind.LOOKUP, refers_to="contract"),
        Field("name", "Balance_Name__c", length=2000),
        Field("code", "Code__c"),
        Field("description", "Description__c", length=32768),
        money("amount", "Amount__c"),
        Field("currency", "Currency__c", length=40),
        Field("startDate", "Start_Date__c", FieldKind.DATETIME),
        Field("endDate", "End_Date__c", FieldKind.DATETIME),
        money("rolloverAmount", "Rollover_Amount__c"),
        Field("rolloverEndDate", "Rollover_End_Date__c", FieldKind.DATETIME),
        Field("balanceDrawDownDescription", "Draw_Down_Description__c", length=2000),
        money("overageSurchargePercent", "Overage_Surcharge_Percent__c"),
        Field("overageDescription", "Overage_Description__c", length=2000),
        Field("productIds", "Product_Ids__c", FieldKind.LIST, length=32768),
        Field("lineItemTypes", "Line_Item_Types__c", FieldKind.LIST, length=2000),
        identity("consumptionsAccountingProductId", "Consumptions_Accounting_Product_Id__c"),
        identity("feesAccountingProductId", "Fees_Accounting_Product_Id__c"),
        Field("allowOverdraft", "Allow_Overdraft__c", FieldKind.BOOLEAN),
        *AUDIT_FIELDS,
    ),
)
