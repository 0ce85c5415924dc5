"""The check of the whole org before a run writes its first row."""

from collections.abc import Mapping
from typing import Protocol

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaFinding, require_none
from m3sync_dagster.sync.schema_validation import examine


class SchemaReader(Protocol):
    """Salesforce, as far as it is asked about its objects."""

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        """Read what the org says of an object now.

        Args:
            object_name: API name.
            refresh: ask even for what would be unchanged since it was last read.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        ...

    def cached(self, object_name: str) -> SalesforceObject | None:
        """Give what was last read of an object, by this run or an earlier one."""
        ...

    def custom_fields(self, object_name: str) -> frozenset[str] | None:
        """Name an object's custom fields, seen by this user or not; ``None``: not allowed."""
        ...


class Preflight:
    """Holds every entity of a run against the org, once, and each again before it is written.

    The describe of an entity that is about to be written is asked for. The others are taken as
    they were last read, so that an hour in which one entity changes costs one call; they are
    asked for where none was read yet, or where something is wrong.

    Args:
        mappings: the run's entities.
        org: Salesforce.
    """

    def __init__(self, mappings: Mapping[str, FieldMapping], org: SchemaReader) -> None:
        self._mappings = mappings
        self._org = org
        self._passed = False

    def require(self, entity: str) -> list[SchemaFinding]:
        """Make sure that a run may write, beginning with this entity.

        Returns:
            Warnings of entities that were examined.

        Raises:
            SchemaMismatchError: something is in the way; every finding of every entity is in it.
            SyncError: Salesforce could not be asked.
        """
        names = [entity] if self._passed else list(self._mappings)
        found = [finding for name in names for finding in self._look(name, about_to=name == entity)]
        require_none(found)
        self._passed = True
        return found

    def all(self) -> dict[str, list[SchemaFinding]]:
        """Examine every entity as it is now; by entity, what was found.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return {name: self._look(name, about_to=True) for name in self._mappings}

    def _look(self, name: str, *, about_to: bool) -> list[SchemaFinding]:
        mapping = self._mappings[name]
        held = None if about_to else self._org.cached(mapping.object_name)
        if held is not None and not _blocks(found := examine(mapping, held)):
            return found
        try:
            found = examine(mapping, self._org.describe(mapping.object_name))
            return self._look_again(mapping) if _blocks(found) else found
        except ConfigurationError as error:
            return [SchemaFinding(name, error.cause, error.remedy, where=("entities", name))]

    def _look_again(self, mapping: FieldMapping) -> list[SchemaFinding]:
        """Nobody is sent to mend what has been mended in the very second of the last answer."""
        described = self._org.describe(mapping.object_name, refresh=True)
        found = examine(mapping, described)
        wanted = {mapping.external_id_field, *mapping.columns}
        if wanted <= described.fields.keys():
            return found
        return examine(mapping, described, self._org.custom_fields(mapping.object_name))


def _blocks(findings: list[SchemaFinding]) -> bool:
    return any(finding.blocks for finding in findings)
