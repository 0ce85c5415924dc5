"""Checking, before a run reads records, that the stored fingerprints are valid for it."""

from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.fingerprint_basis import (
    BasisChange,
    FingerprintBasis,
    compare,
    describe_change,
)
from m3sync_dagster.sync.interfaces import Destination, Ledger, Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import NO_SUCH_RECORD, Acknowledged, Rejected, RowResult
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity
from m3sync_dagster.sync.target_schema import TargetSchema

_REPORTED = {BasisChange.OTHER_PLACE, BasisChange.OTHER_DATABASE}
BATCH = 2_000
"""Records whose external ID is written at a time."""


def current_basis(mapping: FieldMapping, source: Source, org: OrgIdentity) -> FingerprintBasis:
    """The basis of this run's fingerprints."""
    return FingerprintBasis(
        org.organization_id, source.organization_id, mapping.object_name, mapping.external_id_field
    )


def apply_basis_change(
    mapping: FieldMapping,
    source: Source,
    ledger: Ledger,
    destination: Destination,
    schema: TargetSchema,
) -> tuple[FingerprintBasis, FingerprintBasis] | None:
    """Log in, and withdraw stored fingerprints of another basis.

    Returns:
        The stored and the current basis, if fingerprints of another place were deleted, or those
        of a restored database withdrawn.

    Raises:
        ConfigurationError: the external ID field has changed, and Salesforce does not accept
            the new external ID for a synced record.
        SyncError: Salesforce or the database could not be reached, or refused.
    """
    current = current_basis(mapping, source, destination.identity())
    stored = ledger.basis()
    change = compare(stored, current)
    if change is BasisChange.OTHER_KEY:
        schema.require_current()
        _write_external_ids(mapping, ledger, destination)
    if change is not BasisChange.NONE:
        ledger.set_basis(current, change, _organization(destination))
    return (stored, current) if stored and change in _REPORTED else None


def _organization(destination: Destination) -> Organization | None:
    """The org's name and kind, for display; ``None`` if they cannot be read."""
    try:
        return destination.organization()
    except (ConfigurationError, RemoteError):
        return None


def basis_change_event(
    credential: str, stored: FingerprintBasis, current: FingerprintBasis
) -> ConfigurationError:
    """The event of a run in another place than the runs before, or after a restore."""
    if compare(stored, current) is BasisChange.OTHER_DATABASE:
        return ConfigurationError(
            "the state database was restored from a backup, moved or failed over: every record "
            "is compared anew",
            "Nothing to do for the records. If it was restored, check with m3sync status which "
            "integrations were enabled or disabled since the backup.",
        )
    return ConfigurationError(
        f"{describe_change(credential, stored, current)}: every record is compared anew",
        "If that is intended, do nothing. Otherwise correct the credential or the integration; "
        "the records in the previous org or object are not changed.",
    )


def _write_external_ids(mapping: FieldMapping, ledger: Ledger, destination: Destination) -> None:
    """Write the m3ter ids of synced records into the new external ID field, by Salesforce Id.

    Without it, every upsert by the new field would create a second record.
    """
    for ids in ledger.synced_ids(BATCH):
        changes = {
            salesforce_id: {mapping.external_id_field: m3ter_id}
            for salesforce_id, m3ter_id in ids.items()
        }
        for results in destination.update(mapping.object_name, changes):
            ledger.delete_synced([ids[one.m3ter_id] for one in results if _is_deleted(one)])
            _require_written(mapping, ids, results)


def _is_deleted(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.code in NO_SUCH_RECORD


def _require_written(mapping: FieldMapping, ids: dict[str, str], results: list[RowResult]) -> None:
    for result in results:
        if isinstance(result, Acknowledged) or _is_deleted(result):
            continue
        raise ConfigurationError(
            f"the external ID field of {mapping.entity.name} is {mapping.external_id_field} now, "
            f"and Salesforce did not accept it for the record {ids[result.m3ter_id]} "
            f"({result.m3ter_id}): {result.code}: {result.message}",
            "Correct that record in Salesforce, or restore external_id_field. No record was sent, "
            "so that none is created twice.",
            ("entities", mapping.entity.name, "external_id_field"),
        )
