"""The record types that are synced from m3ter to Salesforce.

An entity type is one file here and its Salesforce metadata; everything else reads ``ENTITIES``.
"""

from m3sync_dagster.entities._model import (
    EXTERNAL_ID,
    M3TER_ID_LENGTH,
    EntityType,
    Field,
    FieldKind,
)
from m3sync_dagster.entities.account import ACCOUNT
from m3sync_dagster.entities.balance import BALANCE
from m3sync_dagster.entities.bill import BILL
from m3sync_dagster.entities.bill_line_item import BILL_LINE_ITEM
from m3sync_dagster.entities.commitment import COMMITMENT
from m3sync_dagster.entities.contract import CONTRACT

ENTITIES: dict[str, EntityType] = {
    entity.name: entity for entity in (ACCOUNT, CONTRACT, COMMITMENT, BALANCE, BILL, BILL_LINE_ITEM)
}
"""Every entity type by name, parents before their children."""

DEFAULT_ENTITIES = tuple(name for name, entity in ENTITIES.items() if not entity.on_request)
"""The names of the entity types that new integrations and the default metadata have."""

OTHER_NAMES = {"commitment": "prepayment"}
"""Names of entity types in m3ter's Console that differ from its API; people may use either."""

__all__ = [
    "DEFAULT_ENTITIES",
    "ENTITIES",
    "EXTERNAL_ID",
    "M3TER_ID_LENGTH",
    "OTHER_NAMES",
    "EntityType",
    "Field",
    "FieldKind",
]
