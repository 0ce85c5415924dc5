"""Findings of the comparison of an org with a mapping, one for each thing to correct."""

from collections.abc import Sequence
from dataclasses import dataclass

from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """One thing in the org that does not fit the mapping.

    Args:
        entity: name of the entity type.
        cause: the present state, naming object and fields.
        remedy: what a person can do about it, as an imperative sentence.
        blocks: whether rows cannot be sent because of it; otherwise it is a warning.
        where: the path of the YAML attribute that it is about, as in ``ConfigurationError``.
    """

    entity: str
    cause: str
    remedy: str
    blocks: bool = True
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cause.rstrip('.')}. {self.remedy}"


class SchemaMismatchError(ConfigurationError):
    """The org's objects and fields do not fit the mapping; nothing was sent.

    Args:
        findings: those that block, at least one.
    """

    def __init__(self, findings: Sequence[SchemaFinding]) -> None:
        first = findings[0]
        if len(findings) == 1:
            super().__init__(first.cause, first.remedy, first.where)
        else:
            lines = "\n".join(f"- {finding.entity}: {finding}" for finding in findings)
            super().__init__(
                f"the Salesforce org does not fit the mapping in {len(findings)} ways:\n{lines}\n"
                "Nothing was sent",
                "Correct them, and check again with m3sync check.",
                first.where,
            )
        self.findings = tuple(findings)


def require_none(findings: Sequence[SchemaFinding]) -> None:
    """Make sure that no finding blocks.

    Raises:
        SchemaMismatchError: some do; it contains every such finding.
    """
    blocking = [finding for finding in findings if finding.blocks]
    if blocking:
        raise SchemaMismatchError(blocking)
