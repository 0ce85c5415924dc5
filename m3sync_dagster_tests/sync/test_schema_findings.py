"""Findings are one message, and only those that block stop a sync."""

from dataclasses import replace

import pytest

from m3sync_dagster.sync.schema_findings import SchemaFinding, SchemaMismatchError, require_none

ONE = SchemaFinding("account", "the cause", "The remedy.", where=("entities", "account"))
OTHER = SchemaFinding("bill", "it has no field X.", "Add it.", where=("entities", "bill"))

IN_TWO_WAYS = """\
the Salesforce org does not fit the mapping in 2 ways:
- account: the cause. The remedy.
- bill: it has no field X. Add it.
Nothing was sent"""


def test_a_finding_is_two_sentences() -> None:
    assert (str(ONE), str(OTHER)) == ("the cause. The remedy.", "it has no field X. Add it.")


@pytest.mark.parametrize(
    ("findings", "cause", "remedy"),
    [
        ([ONE], "the cause", "The remedy."),
        ([ONE, replace(OTHER, blocks=False)], "the cause", "The remedy."),
        (
            [replace(OTHER, blocks=False), ONE, OTHER],
            IN_TWO_WAYS,
            "Correct them, and check again with m3sync check.",
        ),
    ],
)
def test_what_blocks_is_one_error(findings: list[SchemaFinding], cause: str, remedy: str) -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        require_none(findings)
    error = caught.value
    assert (error.cause, error.remedy, error.where) == (cause, remedy, ("entities", "account"))
    assert error.findings == tuple(one for one in findings if one.blocks)


def test_warnings_do_not_stop() -> None:
    require_none([])
    require_none([replace(ONE, blocks=False)])
