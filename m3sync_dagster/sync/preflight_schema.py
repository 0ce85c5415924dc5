"""Validating every object of a run before its first row is written."""

from collections.abc import Mapping
from typing import Protocol

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.link_validation import hidden_object_finding, linked_object_findings
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding, require_none
from m3sync_dagster.sync.schema_validation import validate_schema


class SchemaReader(Protocol):
    """Reads the describes of Salesforce's objects."""

    def describe(self, object_name: str, *, refresh: bool = ...) -> SalesforceObject:
        """Describe an object as it is now.

        Args:
            object_name: API name.
            refresh: read it again even if Salesforce reports no change since the last read.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        ...

    def cached(self, object_name: str) -> SalesforceObject | None:
        """The describe that this run or an earlier one read last; ``None``: none."""
        ...

    def custom_fields(self, object_name: str) -> frozenset[str] | None:
        """All custom fields, visible to this user or not; ``None`` without the right to ask."""
        ...


class Preflight:
    """Validates every entity of a run once, and each one again before it is written.

    The entity that is written next is validated with a new describe. The others are validated
    with the cached describe, so that an hour in which one entity changes costs one call; they are
    read again if there is no cached describe or if it has a blocking finding.

    Args:
        mappings: the run's entities.
        org: Salesforce.
    """

    def __init__(self, mappings: Mapping[str, FieldMapping], org: SchemaReader) -> None:
        self._mappings = mappings
        self._org = org
        self._passed = False

    def require(self, entity: str) -> list[SchemaFinding]:
        """Make sure that the run may write this entity.

        Returns:
            Warnings of the entities that were validated.

        Raises:
            SchemaMismatchError: a finding blocks; it contains the findings of all entities.
            SyncError: Salesforce could not be asked.
        """
        names = [entity] if self._passed else list(self._mappings)
        found = [
            finding
            for name in names
            for finding in (
                *self._check(name, is_written_next=name == entity),
                *self._check_linked(name, refresh=False),
            )
        ]
        require_none(found)
        self._passed = True
        return found

    def check_all(self) -> dict[str, list[SchemaFinding]]:
        """Validate every entity with a new describe; returns the findings by entity.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return {
            name: self._check(name, is_written_next=True) + self._check_linked(name, refresh=True)
            for name in self._mappings
        }

    def _check(self, name: str, *, is_written_next: bool) -> list[SchemaFinding]:
        mapping = self._mappings[name]
        cached = None if is_written_next else self._org.cached(mapping.object_name)
        if cached is not None and not _blocks(found := validate_schema(mapping, cached)):
            return found
        try:
            found = validate_schema(mapping, self._org.describe(mapping.object_name))
            return self._check_uncached(mapping) if _blocks(found) else found
        except ConfigurationError as error:
            return [SchemaFinding(name, error.cause, error.remedy, where=("entities", name))]

    def _check_linked(self, name: str, *, refresh: bool) -> list[SchemaFinding]:
        """Validate the object that accounts are linked to; a cached describe will do in a run."""
        mapping = self._mappings[name]
        link = mapping.link
        if link is None:
            return []
        cached = None if refresh else self._org.cached(link.object)
        if cached is not None and not list(linked_object_findings(mapping, link, cached)):
            return []
        try:
            described = self._org.describe(link.object, refresh=cached is not None)
        except ConfigurationError as error:
            return [hidden_object_finding(mapping, link, error.cause)]
        return list(linked_object_findings(mapping, link, described))

    def _check_uncached(self, mapping: FieldMapping) -> list[SchemaFinding]:
        """Read it again without the cache, in case the admin has just corrected it."""
        described = self._org.describe(mapping.object_name, refresh=True)
        found = validate_schema(mapping, described)
        wanted = {mapping.external_id_field, *mapping.columns}
        if wanted <= described.fields.keys():
            return found
        return validate_schema(mapping, described, self._org.custom_fields(mapping.object_name))


def _blocks(findings: list[SchemaFinding]) -> bool:
    return any(finding.blocks for finding in findings)
