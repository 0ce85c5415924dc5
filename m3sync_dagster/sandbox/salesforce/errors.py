"""The two kinds of error: for a request as a whole, and for one row of it."""

from m3sync_dagster.sandbox.json_types import JsonObject


class ApiError(Exception):
    """The error of a request; the response has its status and a list with this one error.

    Source: Salesforce REST API guide, "Status Codes and Error Responses".

    Args:
        status: the HTTP status.
        code: Salesforce's ``errorCode``.
        message: Salesforce's ``message``.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> list[dict[str, str]]:
        """The JSON of the response."""
        return [{"message": self.message, "errorCode": self.code}]


class RowError(Exception):
    """The error of one row; the other rows of its request may be saved.

    Args:
        code: Salesforce's ``statusCode``.
        message: Salesforce's ``message``.
        fields: API names of the fields that caused it.
    """

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(code, message, *fields)
        self.code = code
        self.message = message
        self.fields = list(fields)

    def as_json(self) -> JsonObject:
        """The error in the result of an sObject Collections request."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields}

    def as_request_error(self) -> list[JsonObject]:
        """The error in the response to a request for a single record."""
        return [{"message": self.message, "errorCode": self.code, "fields": self.fields}]

    def as_text(self) -> str:
        """The error in the ``sf__Error`` column of an ingest job's result."""
        return f"{self.code}:{self.message}:{' '.join([*self.fields, '--'])}"


def not_found() -> ApiError:
    """Salesforce's error for an unknown path, object, record or job."""
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")
