"""Account: one of the organization's end customers.

Source: m3ter's OpenAPI description, schema ``AccountResponse``; m3ter's documentation, "Creating an
Account", for the Console's names.
"""

from m3sync_dagster.entities._model import AUDIT_FIELDS, EntityType, Field, FieldKind, identity

ACCOUNT = EntityType(
    name="account",
    label="Account",
    path="accounts",
    account_field="id",
    account_filter="ids",
    object="m3ter_Account__c",
    custom_fields=True,
    code_filter="codes",
    fields=(
        Field("title", "Name", FieldKind.TITLE, length=80, sources=("name", "code", "id")),
        Field("name", "Account_Name__c"),
        Field("code", "Code__c"),
        Field("emailAddress", "Email_Address__c", aliases=("Email",)),
        Field(
            "parentAccountId",
            "Parent_Account__c",
            FieldKind.LOOKUP,
            refers_to="account",
            aliases=("Parent",),
        ),
        Field("currency", "Currency__c", length=40),
        Field("purchaseOrderNumber", "Purchase_Order_Number__c", aliases=("PO number",)),
        Field("daysBeforeBillDue", "Days_Before_Bill_Due__c", FieldKind.INTEGER),
        Field("billEpoch", "Bill_Epoch__c", FieldKind.DATE, aliases=("First bill date",)),
        Field("address.addressLine1", "Address_Line_1__c"),
        Field("address.addressLine2", "Address_Line_2__c"),
        Field("address.addressLine3", "Address_Line_3__c"),
        Field("address.addressLine4", "Address_Line_4__c"),
        Field("address.locality", "Locality__c", aliases=("City / town", "City", "Town")),
        Field(
            "address.region",
            "Region__c",
            aliases=("Region / province", "State / province", "State"),
        ),
        Field(
            "address.postCode",
            "Post_Code__c",
            aliases=("Postcode / ZIP", "Postal code", "ZIP code", "ZIP"),
        ),
        Field("address.country", "Country__c"),
        identity("statementDefinitionId", "Statement_Definition_Id__c"),
        Field("autoGenerateStatementMode", "Auto_Generate_Statement_Mode__c", length=80),
        Field("creditApplicationOrder", "Credit_Application_Order__c", FieldKind.LIST),
        *AUDIT_FIELDS,
    ),
)
