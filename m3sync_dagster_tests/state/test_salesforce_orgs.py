import pytest

from m3sync_dagster.state import SalesforceOrg


@pytest.mark.parametrize(
    ("org", "words"),
    [
        (SalesforceOrg("00D1", "Acme", is_sandbox=True), "Acme (00D1, sandbox)"),
        (SalesforceOrg("00D1", "Acme", is_sandbox=False), "Acme (00D1, production)"),
        (
            SalesforceOrg("00D1", None, is_sandbox=None),
            "name not known (00D1, sandbox or production: not known)",
        ),
    ],
)
def test_an_org_in_words(org: SalesforceOrg, words: str) -> None:
    assert str(org) == words
    assert org.as_dict() == {"id": org.id, "name": org.name, "is_sandbox": org.is_sandbox}
