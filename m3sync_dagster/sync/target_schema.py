"""The Salesforce object that a mapping writes to: its cached describe, then its current one."""

from collections.abc import Callable

import msgspec
import xxhash

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.preflight_schema import SchemaReader
from m3sync_dagster.sync.row_types import Target
from m3sync_dagster.sync.row_validation import RowValidator


class TargetSchema:
    """Validates rows with the cached describe until the object must be described again.

    An hour without changes must not cost a describe, so rows are compared using the cached one.
    Before something is sent, the object is described, which replaces the cached describe.

    Args:
        mapping: which field goes where.
        reader: reads describes.
        preflight: called before the object is described; its errors stop the sync.

    Attributes:
        current: whether the object was described in this run.
    """

    def __init__(
        self,
        mapping: FieldMapping,
        reader: SchemaReader,
        preflight: Callable[[], object] = lambda: None,
    ) -> None:
        self.current = False
        self._mapping = mapping
        self._reader = reader
        self._preflight = preflight
        self._stored = self._read_stored()

    @property
    def digest_seed(self) -> int:
        """64 bits that change whenever a JSON text could become another row.

        They cover the mapping, our code and the fields' definitions.
        """
        fields = self._stored.fields_digest if self._stored else 0
        return xxhash.xxh3_64_intdigest(msgspec.json.encode((self._mapping.seed, fields)))

    @property
    def target(self) -> Target:
        """The object and the fields that rows are written to."""
        return self.validator().target

    def validator(self) -> RowValidator:
        """The validator of rows; describes the object if there is no cached describe.

        Raises:
            SyncError: as for ``require_current``.
        """
        if self._stored is None:
            return self.require_current()
        return self._stored

    def require_current(self) -> RowValidator:
        """Describe the object, at most once in a run.

        Raises:
            SchemaMismatchError: the org does not fit the mapping.
            SyncError: Salesforce could not be reached, or refused.
        """
        if self._stored is None or not self.current:
            self._preflight()
            described = self._reader.describe(self._mapping.object_name)
            self._stored = RowValidator(self._mapping, described)
            self.current = True
        return self._stored

    def _read_stored(self) -> RowValidator | None:
        described = self._reader.cached(self._mapping.object_name)
        try:
            return RowValidator(self._mapping, described) if described else None
        except ConfigurationError:
            return None  # The org may have been corrected, so the object is described again.
