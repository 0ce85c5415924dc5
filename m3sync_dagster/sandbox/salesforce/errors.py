"""The two kinds of refusal: of a request as a whole, and of one row of it."""

from typing import Any


class ApiError(Exception):
    """A request that is answered with an error status and a list of one error.

    Source: Salesforce REST API guide, "Status Codes and Error Responses".

    Args:
        status: the HTTP status.
        code: Salesforce's ``errorCode``.
        message: the text that goes with it.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> list[dict[str, str]]:
        """The JSON of the answer."""
        return [{"message": self.message, "errorCode": self.code}]


class RowError(Exception):
    """One row that is refused while the others of its request may be saved.

    Args:
        code: Salesforce's ``statusCode``.
        message: the text that goes with it.
        fields: API names of the fields at fault.
    """

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(code, message, *fields)
        self.code = code
        self.message = message
        self.fields = list(fields)

    def as_json(self) -> dict[str, Any]:
        """As sObject Collections tell of it."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields}

    def as_request_error(self) -> list[dict[str, Any]]:
        """As a request for a single record tells of it."""
        return [{"message": self.message, "errorCode": self.code, "fields": self.fields}]

    def as_text(self) -> str:
        """As the ``sf__Error`` column of an ingest job tells of it."""
        return f"{self.code}:{self.message}:{' '.join([*self.fields, '--'])}"


def not_found() -> ApiError:
    """What Salesforce says of an unknown address, object, record or job."""
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")
