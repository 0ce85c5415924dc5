"""Results of records, and the counts of them."""

import pytest

from m3sync_dagster.sync.row_results import (
    LONGEST_REFUSED,
    NO_PARENT_RECORD,
    NO_RECORD,
    Count,
    Counts,
    ErrorClass,
    Rejected,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (12, "12"),
        (False, "False"),
        ("", ""),
        ("x" * LONGEST_REFUSED + "y", "x" * LONGEST_REFUSED),
    ],
)
def test_a_refused_value_is_shown_as_text_up_to_a_length(value: object, text: str | None) -> None:
    assert value_text(value) == text


def test_counts_add_up() -> None:
    counts = Counts({Count.CREATED: 1, Count.WAITING: 2, Count.UNCHANGED: 3, Count.INVALID: 4})
    assert (counts.read, counts.failed) == (10, 6)
    assert list(counts.as_dict().items()) == [
        ("read", 10),
        ("created", 1),
        ("updated", 0),
        ("unchanged", 3),
        ("invalid", 4),
        ("rejected", 0),
        ("waiting", 2),
    ]


@pytest.mark.parametrize(
    ("error_class", "code", "staged", "sent", "waits"),
    [
        (ErrorClass.INVALID, "M3SYNC_INVALID", False, False, False),
        (ErrorClass.PERMANENT, "DUPLICATE_VALUE", True, True, False),
        (ErrorClass.DEPENDENCY, "INVALID_FIELD", True, True, True),
        (ErrorClass.DEPENDENCY, NO_RECORD, True, False, False),
        (ErrorClass.DEPENDENCY, NO_PARENT_RECORD, False, False, False),
    ],
)
def test_how_far_a_rejected_row_came(
    error_class: ErrorClass, code: str, staged: bool, sent: bool, waits: bool
) -> None:
    rejected = Rejected("a", error_class, code, "no")
    found = (rejected.was_staged, rejected.was_sent, rejected.waits_for_parent)
    assert found == (staged, sent, waits)
