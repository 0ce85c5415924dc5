import pytest

from m3sync_dagster.state import read_days
from m3sync_dagster.sync.errors import ConfigurationError

VARIABLE = "M3SYNC_SOME_DAYS"


@pytest.mark.parametrize(
    ("given", "days"), [("", 30), ("  ", 30), ("7", 7), ("90", 90), (" 45\n", 45)]
)
def test_the_days_of_a_variable(monkeypatch: pytest.MonkeyPatch, given: str, days: int) -> None:
    monkeypatch.setenv(VARIABLE, given)
    assert read_days(VARIABLE, default=30, least=7, most=90) == days


def test_an_unset_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_days(VARIABLE, default=30, least=7, most=90) == 30


@pytest.mark.parametrize("given", ["6", "91", "-7", "7.5", "a week", "1e1"])
def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ConfigurationError, match="from 7 to 90") as refused:
        read_days(VARIABLE, default=30, least=7, most=90)
    assert repr(given) in refused.value.cause
    assert "30 days" in refused.value.remedy
