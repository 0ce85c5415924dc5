"""Which record is meant by an id: m3ter's id, the record's code in m3ter, or its Salesforce Id."""

import re

import psycopg

from m3sync_dagster.components.verify_entity import Connections
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.state import find_stored_ids
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.record_comparison import RecordComparison
from m3sync_dagster.sync.record_decoder import id_of

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_SALESFORCE_ID = re.compile(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?", re.ASCII)


def find_m3ter_id(
    connections: Connections,
    connection: psycopg.Connection,
    comparison: RecordComparison,
    entity: str,
    given: str,
) -> str:
    """The m3ter id of the record that is meant.

    Args:
        connections: the integration and its systems.
        connection: to our tables.
        comparison: reads the entity's records in Salesforce.
        entity: the entity type of the record.
        given: its m3ter id, its code or its Salesforce Id; anything else is returned unchanged.

    Raises:
        ConfigurationError: several records have this code, or the Salesforce record has no m3ter
            id.
        SyncError: a system could not be read.
    """
    if _UUID.fullmatch(given):
        return given
    found = find_stored_ids(connection, connections.integration.name, entity, given)
    found = found or _find_by_code(connections, comparison, entity, given)
    if not found and _SALESFORCE_ID.fullmatch(given):
        found = _find_by_salesforce_id(comparison, given)
    if len(found) > 1:
        raise ConfigurationError(
            f"{given} is the code of {len(found)} {entity} records: {', '.join(sorted(found))}",
            "Give the m3ter id of one of them.",
        )
    return next(iter(found), given)


def _find_by_code(
    connections: Connections, comparison: RecordComparison, entity: str, code: str
) -> set[str]:
    """The records that have this code now, in m3ter or in Salesforce."""
    in_m3ter = map(id_of, connections.source.find_by_code(ENTITIES[entity], code))
    return {*filter(None, in_m3ter), *comparison.find_by_code(code)}


def _find_by_salesforce_id(comparison: RecordComparison, salesforce_id: str) -> set[str]:
    row = comparison.find_by_salesforce_id(salesforce_id)
    if row and not row.m3ter_id:
        raise ConfigurationError(
            f"the Salesforce record {salesforce_id} has no m3ter id, and none is stored for it",
            "Write m3ter's id into its external ID field, or give the m3ter id.",
        )
    return {row.m3ter_id} if row and row.m3ter_id else set()
