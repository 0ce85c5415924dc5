"""Bill: the amount due from an account for a period; its header with the total, no line items.

Source: m3ter's OpenAPI description, ``ListBills`` and schema ``BillResponse``. Until a bill is
approved or locked, m3ter may recalculate it, so only those are synced by default. A synced bill is
still updated when it is reopened, so that it stops showing as approved. The list can be filtered
by only one of the two, so all bills are read. A bill has no custom fields.
"""

from m3sync_dagster.entities._model import (
    AUDIT_FIELDS,
    EntityType,
    Field,
    FieldKind,
    identity,
    money,
)

BILL = EntityType(
    name="bill",
    label="Bill",
    path="bills",
    account_field="accountId",
    account_filter="accountId",
    object="m3ter_Bill__c",
    custom_fields=False,
    aliases=("invoice",),
    query=(("excludeLineItems", "true"), ("includeBillTotal", "true")),
    final_when=(("status", "APPROVED"), ("locked", True)),
    fields=(
        Field(
            "title",
            "Name",
            FieldKind.TITLE,
            length=80,
            sources=("sequentialInvoiceNumber", "externalInvoiceReference", "id"),
        ),
        Field("accountId", "m3ter_Account__c", FieldKind.LOOKUP, refers_to="account"),
        Field("accountCode", "Account_Code__c"),
        Field("status", "Status__c", length=40),
        Field("locked", "Locked__c", FieldKind.BOOLEAN),
        money("billTotal", "Bill_Total__c"),
        Field("currency", "Currency__c", length=40),
        Field("currencyConversions", "Currency_Conversions__c", FieldKind.JSON, length=32768),
        Field("billDate", "Bill_Date__c", FieldKind.DATE),
        Field("dueDate", "Due_Date__c", FieldKind.DATE),
        Field("startDate", "Start_Date__c", FieldKind.DATE),
        Field("endDate", "End_Date__c", FieldKind.DATE),
        Field("startDateTimeUTC", "Start_Date_Time_UTC__c", FieldKind.DATETIME),
        Field("endDateTimeUTC", "End_Date_Time_UTC__c", FieldKind.DATETIME),
        Field("timezone", "Time_Zone__c", length=80),
        Field("billingFrequency", "Billing_Frequency__c", length=40),
        Field("billFrequencyInterval", "Billing_Frequency_Interval__c", FieldKind.INTEGER),
        identity("billJobId", "Bill_Job_Id__c"),
        Field("lastCalculatedDate", "Last_Calculated__c", FieldKind.DATETIME),
        Field("createdDate", "Bill_Created__c", FieldKind.DATETIME),
        Field("purchaseOrderNumber", "Purchase_Order_Number__c", aliases=("PO number",)),
        Field("sequentialInvoiceNumber", "Sequential_Invoice_Number__c"),
        Field("externalInvoiceReference", "External_Invoice_Reference__c"),
        Field("externalInvoiceDate", "External_Invoice_Date__c", FieldKind.DATE),
        Field("jsonStatementGenerated", "JSON_Statement_Generated__c", FieldKind.BOOLEAN),
        Field("csvStatementGenerated", "CSV_Statement_Generated__c", FieldKind.BOOLEAN),
        Field("statementStale", "Statement_Stale__c", FieldKind.BOOLEAN),
        Field("dtApproved", "Approved_In_m3ter__c", FieldKind.DATETIME),
        identity("approvedBy", "Approved_By_In_m3ter__c"),
        Field("dtLocked", "Locked_In_m3ter__c", FieldKind.DATETIME),
        identity("lockedBy", "Locked_By_In_m3ter__c"),
        *AUDIT_FIELDS,
    ),
)
