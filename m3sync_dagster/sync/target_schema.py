"""The Salesforce object that a mapping writes to: first as it was last read, then as it is."""

from collections.abc import Callable

import msgspec
import xxhash

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.preflight import SchemaReader
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.rows import Target


class TargetSchema:
    """Validates rows with the stored describe until the org has to be asked.

    An hour without changes must not cost a describe, so rows are compared by the stored one. Once
    something is to be sent, the org is asked, and what it says replaces the stored describe.

    Args:
        mapping: which field goes where.
        reader: gives describes.
        preflight: called before the org is asked; what it raises stops the sync.

    Attributes:
        current: whether the org has been asked in this run.
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
        """Where rows go, and what their values mean."""
        return self.validator().target

    def validator(self) -> RowValidator:
        """The validator of rows; asks the org if it has never been asked before.

        Raises:
            SyncError: as for ``require_current``.
        """
        if self._stored is None:
            return self.require_current()
        return self._stored

    def require_current(self) -> RowValidator:
        """Ask the org, at most once in a run.

        Raises:
            SchemaMismatchError: the org does not fit the mapping.
            SyncError: Salesforce could not be asked.
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
            return None  # The org may have been corrected since then, so it is asked.
