"""The options ``match`` and ``overwrite``, for objects whose records people edit too.

``match: update_only`` writes to existing records alone. ``overwrite: {Phone: if_empty}`` writes a
field only where it is empty in Salesforce at that time.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapping import FieldMapping


class Match(StrEnum):
    """Whether a record that Salesforce does not have is created."""

    UPSERT = "upsert"
    UPDATE_ONLY = "update_only"


class Overwrite(StrEnum):
    """When a Salesforce field is written."""

    ALWAYS = "always"
    IF_EMPTY = "if_empty"


def with_match_and_overwrite(
    mapping: FieldMapping,
    match: Match,
    overwrite: Mapping[str, Overwrite],
    *,
    gone_field: str | None,
    deletes: bool,
) -> FieldMapping:
    """The mapping with these options.

    Args:
        mapping: which field goes where.
        match: whether records are created.
        overwrite: Salesforce field to when it is written; the others always.
        gone_field: the field that marks records as deleted in m3ter, if there is one.
        deletes: whether records that were deleted in m3ter are deleted in Salesforce.

    Raises:
        ConfigurationError: the options do not fit each other or the mapping.
    """
    update_only = match is Match.UPDATE_ONLY
    if update_only and deletes:
        raise ConfigurationError(
            f"the {mapping.entity.name} says match: update_only and when_gone: delete, and would "
            "delete records that it has not created",
            "Use when_gone: keep or flag, or match: upsert.",
            ("entities", mapping.entity.name, "when_gone"),
        )
    columns = {name.casefold(): name for name in mapping.columns}
    _require_fields(mapping, columns, overwrite, gone_field)
    if_empty = {n.casefold() for n, when in overwrite.items() if when is Overwrite.IF_EMPTY}
    return replace(
        mapping, update_only=update_only, if_empty=frozenset(columns[name] for name in if_empty)
    )


def _require_fields(
    mapping: FieldMapping,
    columns: Mapping[str, str],
    overwrite: Mapping[str, Overwrite],
    gone_field: str | None,
) -> None:
    """Refuse names that are not written, lookups, and the mark of a deleted record."""
    lookups = {f.salesforce for f in mapping.fields if f.kind is FieldKind.LOOKUP}
    refused = {name.casefold() for name in (*lookups, gone_field) if name}
    fitting = [name for name in mapping.columns if name.casefold() not in refused]
    if wrong := [n for n in overwrite if n.casefold() not in columns or n.casefold() in refused]:
        raise ConfigurationError(
            f"overwrite of the {mapping.entity.name} names {', '.join(wrong)}, which is no field "
            "that the mapping fills with a value",
            f"In overwrite, name Salesforce fields by their API names: {', '.join(fitting)}.",
            ("entities", mapping.entity.name, "overwrite"),
        )
