"""What the log says while a request is sent again."""

import pytest
from starlette.responses import JSONResponse

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster_tests.salesforce.conftest import Scripted, Time


def test_an_org_that_does_not_answer(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    org = SalesforceClient(ConnectedApp("http://127.0.0.1:9", "id", "secret"), sleep=time.sleep)
    with pytest.raises(RemoteError, match="could not be reached"):
        org.log_in()
    org.close()
    ours = [one.message for one in caplog.records if one.name.startswith("m3sync_dagster")]
    assert ours == [
        f"Salesforce does not answer, trying again ({attempt} of 5)" for attempt in (2, 3, 4, 5)
    ]


def test_an_org_that_answers_with_a_temporary_error(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    body = [{"errorCode": "SERVER_UNAVAILABLE", "message": "soon"}]
    org, _ = scripted(lambda _request, _body: JSONResponse(body, 503))
    with pytest.raises(RemoteError):
        org.limits()
    first = caplog.messages[0]
    assert first.startswith("Salesforce answers with a temporary error (")
    assert "soon" in first
    assert first.endswith("), trying again (2 of 5)")
