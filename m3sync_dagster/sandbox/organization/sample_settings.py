"""The settings of the sample organization: its custom fields and its configuration.

Their fields are those of the schemas ``CustomFieldResponse`` and ``OrganizationConfigResponse`` of
m3ter's OpenAPI description.
"""

from m3sync_dagster.sandbox.json_types import JsonObject

_AUDIT = {
    "version": 1,
    "dtCreated": "2022-01-03T08:00:00.000Z",
    "dtLastModified": "2022-01-03T08:00:00.000Z",
}

SETTINGS: dict[str, JsonObject] = {
    "customfields": {
        "id": "cf000000-0000-4000-8000-000000000001",
        "organization": {"region": "EMEA"},
        "account": {"tier": "gold", "seats": 1, "credit_score": 650.5},
        "accountPlan": {},
        "meter": {},
        "product": {},
        "planTemplate": {},
        "plan": {},
        "aggregation": {},
        "compoundAggregation": {},
        "contract": {"tier": "gold"},
        **_AUDIT,
    },
    "organizationconfig": {
        "id": "0c000000-0000-4000-8000-000000000001",
        "timezone": "UTC",
        "yearEpoch": "2022-01-01",
        "monthEpoch": "2022-01-01",
        "weekEpoch": "2022-01-04",
        "dayEpoch": "2022-01-01",
        "currency": "USD",
        "currencyConversions": [{"from": "EUR", "to": "USD", "multiplier": 1.12}],
        "daysBeforeBillDue": 30,
        "scheduledBillInterval": 0.25,
        "scheduledBillOffset": 0,
        "standingChargeBillInAdvance": True,
        "commitmentFeeBillInAdvance": True,
        "minimumSpendBillInAdvance": False,
        "autoApproveBillsGracePeriod": 2,
        "autoApproveBillsGracePeriodUnit": "DAYS",
        "externalInvoiceDate": "LAST_DAY_OF_ARREARS",
        "suppressedEmptyBills": True,
        "consolidateBills": False,
        "billPrefix": "Bill-",
        "sequenceStartNumber": 1000,
        "autoGenerateStatementMode": "NONE",
        "creditApplicationOrder": ["PREPAYMENT", "BALANCE"],
        "allowNegativeBalances": False,
        "allowOverlappingPlans": False,
        **_AUDIT,
    },
}
"""The record of each kind of settings, by the last segment of its path."""
