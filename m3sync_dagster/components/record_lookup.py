"""Looks up one record: in m3ter, in Salesforce, and what m3sync has stored of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import psycopg

from m3sync_dagster.components.org_name_and_kind import read_org_name_and_kind
from m3sync_dagster.components.record_ids import find_m3ter_id
from m3sync_dagster.components.verify_entity import Connections
from m3sync_dagster.salesforce import OrgLinks
from m3sync_dagster.state import (
    PostgresLedger,
    Reject,
    RejectFilter,
    RemovedRecord,
    SalesforceOrg,
    SentChange,
    SyncedRow,
    list_rejects,
    read_refused_fingerprint,
    read_removed_record,
    read_sent_changes,
    read_synced_row,
)
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.fingerprint_basis import BasisChange, compare
from m3sync_dagster.sync.fingerprint_basis_change import current_basis
from m3sync_dagster.sync.preflight_schema import Preflight
from m3sync_dagster.sync.record_comparison import ComparedRecord, RecordComparison

MATCHING = frozenset({"equal", "flagged", "not_final", "out_of_scope", "absent"})
"""The states in which Salesforce is as the integration is to keep it."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What m3sync has stored of a record.

    Args:
        synced: the row that Salesforce has acknowledged in this org and object.
        valid: whether its fingerprint still counts: not after a change of the external ID field,
            or of the database.
        reject: why its row was rejected or waits, when a run last read it.
        refused: the fingerprint of that row; ``None`` if it was not sent.
        removed: how it was flagged or deleted, because m3ter no longer has it.
        history: what was sent for it, the newest first.
    """

    synced: SyncedRow | None = None
    valid: bool = False
    reject: Reject | None = None
    refused: bytes | None = None
    removed: RemovedRecord | None = None
    history: Sequence[SentChange] = ()


@dataclass(frozen=True, slots=True)
class RecordLookup:
    """A record in both systems, and what is stored of it.

    Args:
        m3ter_id: the record.
        compared: its fields in both systems.
        stored: what is stored of it.
        object_name: API name of its Salesforce object.
        org: the Salesforce org.
        links: the org's pages.
    """

    m3ter_id: str
    compared: ComparedRecord
    stored: StoredRecord
    object_name: str
    org: SalesforceOrg
    links: OrgLinks

    @property
    def matches(self) -> bool:
        """Whether Salesforce is as the integration is to keep it."""
        return self.compared.state in MATCHING

    @property
    def acknowledged(self) -> bool:
        """Whether Salesforce has acknowledged the row that m3ter's record is now."""
        candidate, synced = self.compared.candidate, self.stored.synced
        if not self.stored.valid or candidate is None or synced is None:
            return False
        return candidate.row is not None and candidate.fingerprint == synced.fingerprint

    @property
    def reject(self) -> Reject | None:
        """Why m3ter's present row is rejected or waits.

        ``None`` if that was another row, or the same row in another org, object or field.
        """
        candidate = self.compared.candidate
        if not self.stored.valid or candidate is None:
            return None
        return self.stored.reject if candidate.fingerprint == self.stored.refused else None

    @property
    def removed(self) -> RemovedRecord | None:
        """How it was flagged or deleted in Salesforce, unless m3ter has it again."""
        return None if self.compared.in_m3ter else self.stored.removed

    @property
    def salesforce_id(self) -> str | None:
        """The record's Id in Salesforce, if it is there."""
        return self.compared.salesforce.salesforce_id if self.compared.salesforce else None

    @property
    def salesforce_url(self) -> str | None:
        """The record's page in Salesforce, if it is there."""
        return self.salesforce_id and self.links.record(self.object_name, self.salesforce_id)


def look_up_record(
    connections: Connections, connection: psycopg.Connection, entity: str, given: str
) -> RecordLookup:
    """Look up a record.

    Args:
        connections: the integration and its systems.
        connection: to our tables.
        entity: its entity type.
        given: its m3ter id, its code in m3ter, or its Salesforce Id.

    Raises:
        ConfigurationError: no system has such a record, and nothing is stored of it; or several
            records have this code.
        SyncError: a system could not be read.
    """
    comparison = _comparison(connections, entity)
    m3ter_id = find_m3ter_id(connections, connection, comparison, entity, given)
    stored = _read_stored(connections, connection, entity, m3ter_id)
    known = stored.synced.salesforce_id if stored.synced else None
    compared = comparison.compare(m3ter_id, known)
    if compared.state == "absent" and stored == StoredRecord(valid=stored.valid):
        # m3ter also responds 404 for an organization that it does not know.
        connections.source.check()
        raise ConfigurationError(
            f"neither m3ter nor Salesforce has a record {m3ter_id} of the entity {entity}",
            "Check the id and the entity: it is m3ter's id, as m3sync plan and rejects show it, or "
            "the record's code in m3ter, or its Id in Salesforce.",
        )
    org = connections.org
    object_name = connections.integration.mappings[entity].object_name
    identity = read_org_name_and_kind(org)
    return RecordLookup(m3ter_id, compared, stored, object_name, identity, org.links())


def _comparison(connections: Connections, entity: str) -> RecordComparison:
    mapping = connections.integration.mappings[entity]
    preflight = Preflight({entity: mapping}, connections.org)
    return RecordComparison(
        mapping,
        connections.source,
        connections.org,
        partial(preflight.require, entity),
        connections.integration.entities[entity].gone_field,
    )


def _read_stored(
    connections: Connections, connection: psycopg.Connection, entity: str, m3ter_id: str
) -> StoredRecord:
    integration = connections.integration
    record = (integration.name, entity, m3ter_id)
    basis = PostgresLedger(connection, integration.name, entity, run_id="").basis()
    mapping = integration.mappings[entity]
    change = compare(basis, current_basis(mapping, connections.source, connections.org.identity()))
    other_place = change is BasisChange.OTHER_PLACE
    wanted = RejectFilter(entity, m3ter_id=m3ter_id)
    return StoredRecord(
        None if other_place else read_synced_row(connection, *record),
        change is BasisChange.NONE,
        next(iter(list_rejects(connection, integration.name, wanted)), None),
        read_refused_fingerprint(connection, *record),
        read_removed_record(connection, *record),
        tuple(read_sent_changes(connection, *record)),
    )
