import pytest

from m3sync_dagster.sync.plan import quoted


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("5a4d", "'5a4d'"),
        ("o'neil", r"'o\'neil'"),
        ("back\\slash'", r"'back\\slash\''"),
        ("two\nlines\r", r"'two\nlines\r'"),
    ],
)
def test_texts_in_soql_cannot_end_their_quotes(text: str, literal: str) -> None:
    assert quoted(text) == literal
