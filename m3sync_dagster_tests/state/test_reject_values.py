"""The values of a rejected row, as they are stored."""

from psycopg.types.json import Jsonb

from m3sync_dagster.state.reject_values import LONGEST_MESSAGE, reject_values
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected


def test_a_text_is_stored_without_what_postgresql_cannot_hold() -> None:
    refused = {"Name": "x" * 9_999, "Site": None, "Phone": "", "Code__c": "1\0"}
    record = RefusedRecord("Acme\0", "A\0", refused)
    row = Rejected("m1", ErrorClass.PERMANENT, "X", "no \0 way", ("Name", "Site"), record)
    values = reject_values(row)
    stored = values.pop("refused")
    assert isinstance(stored, Jsonb)
    assert stored.obj == {
        "Name": "x" * LONGEST_MESSAGE,
        "Site": None,
        "Phone": "",
        "Code__c": "1\ufffd",
    }
    assert values == {
        "m3ter_id": "m1",
        "class": "permanent",
        "code": "X",
        "message": "no \ufffd way",
        "fields": ["Name", "Site"],
        "record_name": "Acme\ufffd",
        "record_code": "A\ufffd",
    }


def test_what_is_not_known_is_stored_as_null() -> None:
    assert reject_values(Rejected("m1", ErrorClass.INVALID, "X", "no")) == {
        "m3ter_id": "m1",
        "class": "invalid",
        "code": "X",
        "message": "no",
        "fields": [],
        "record_name": None,
        "record_code": None,
        "refused": None,
    }
