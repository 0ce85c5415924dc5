"""Contract: what an account has agreed to, for a period of time.

Source: m3ter's OpenAPI description, schema ``ContractResponse``. ``endDate`` is exclusive.
"""

from m3sync_dagster.entities._model import AUDIT_FIELDS, EntityType, Field, FieldKind, identity

CONTRACT = EntityType(
    name="contract",
    label="Contract",
    path="contracts",
    account_field="accountId",
    account_filter="accountId",
    object="m3ter_Contract__c",
    custom_fields=True,
    code_filter="codes",
    fields=(
        Field("title", "Name", FieldKind.TITLE, length=80, sources=("name", "code", "id")),
        Field("accountId", "m3ter_Account__c", FieldKind.LOOKUP, refers_to="account"),
        Field("name", "Contract_Name__c"),
        Field("code", "Code__c"),
        Field("description", "Description__c", length=2000),
        Field("purchaseOrderNumber", "Purchase_Order_Number__c", aliases=("PO number",)),
        Field("startDate", "Start_Date__c", FieldKind.DATE),
        Field("endDate", "End_Date__c", FieldKind.DATE),
        Field("applyContractPeriodLimits", "Apply_Contract_Period_Limits__c", FieldKind.BOOLEAN),
        Field("usageFilters", "Usage_Filters__c", FieldKind.JSON, length=131072),
        identity("billGroupingKeyId", "Bill_Grouping_Key_Id__c"),
        *AUDIT_FIELDS,
    ),
)
