"""The check of the whole org before a run writes its first row."""

from collections.abc import Mapping as Dict
from typing import Protocol

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.examine import examine
from m3sync_dagster.sync.findings import Finding, require_none
from m3sync_dagster.sync.mapping import Mapping
from m3sync_dagster.sync.ports import SalesforceObject


class Describing(Protocol):
    """Salesforce, as far as it is asked about its objects."""

    def describe(self, object_name: str, *, anew: bool = False) -> SalesforceObject:
        """Read what the org says of an object now.

        Args:
            object_name: API name.
            anew: ask even for what would be unchanged since it was last read.

        Raises:
            ConfigurationError: the object does not exist, or this user may not see it.
            SyncError: Salesforce could not be asked.
        """
        ...

    def remembered(self, object_name: str) -> SalesforceObject | None:
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

    def __init__(self, mappings: Dict[str, Mapping], org: Describing) -> None:
        self._mappings = mappings
        self._org = org
        self._passed = False

    def require(self, entity: str) -> list[Finding]:
        """Make sure that a run may write, beginning with this entity.

        Returns:
            Warnings of entities that were examined.

        Raises:
            MisfitError: something is in the way; every finding of every entity is in it.
            SyncError: Salesforce could not be asked.
        """
        names = [entity] if self._passed else list(self._mappings)
        found = [finding for name in names for finding in self._look(name, about_to=name == entity)]
        require_none(found)
        self._passed = True
        return found

    def all(self) -> dict[str, list[Finding]]:
        """Examine every entity as it is now; by entity, what was found.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        return {name: self._look(name, about_to=True) for name in self._mappings}

    def _look(self, name: str, *, about_to: bool) -> list[Finding]:
        mapping = self._mappings[name]
        held = None if about_to else self._org.remembered(mapping.object_name)
        if held is not None and not _blocks(found := examine(mapping, held)):
            return found
        try:
            found = examine(mapping, self._org.describe(mapping.object_name))
            return self._look_again(mapping) if _blocks(found) else found
        except ConfigurationError as error:
            return [Finding(name, error.cause, error.remedy, where=("entities", name))]

    def _look_again(self, mapping: Mapping) -> list[Finding]:
        """Nobody is sent to mend what has been mended in the very second of the last answer."""
        described = self._org.describe(mapping.object_name, anew=True)
        found = examine(mapping, described)
        wanted = {mapping.external_id_field, *mapping.columns}
        if wanted <= described.fields.keys():
            return found
        return examine(mapping, described, self._org.custom_fields(mapping.object_name))


def _blocks(findings: list[Finding]) -> bool:
    return any(finding.blocks for finding in findings)
