"""Reading the history of a record: in which order, how much of it, and with every digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from m3sync_dagster.state import SentChange, connect, read_sent_changes
from m3sync_dagster.state.read_sent_changes import MOST, Values

DAY = datetime(2026, 11, 27, tzinfo=UTC)


def test_the_newest_rows_of_a_record_are_read_with_every_digit(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        assert read_sent_changes(connection, "acme", "account", "m1") == []
        connection.execute(
            "INSERT INTO m3sync.sent_change (integration, entity, m3ter_id, salesforce_id, run_id, "
            "time, action, answer, changes, masked) SELECT 'acme', 'account', m3ter_id, 'a01', "
            "'run', %s::timestamptz + make_interval(days => day), 'rejected', 'X', "
            """'{"A__c": {"before": null, "after": 1.10}}', ARRAY['B__c'] """
            "FROM generate_series(0, %s) AS day, unnest(ARRAY['m1', 'm2']) AS m3ter_id",
            (DAY, MOST),
        )
        found = read_sent_changes(connection, "acme", "account", "m1")
        assert str(connection.execute("SELECT '1.10'::jsonb").fetchone()) == "(1.1,)"
    with connect(postgres_url) as other:
        assert str(other.execute("SELECT '1.10'::jsonb").fetchone()) == "(1.1,)"
    changes: dict[str, Values] = {"A__c": {"after": Decimal("1.10"), "before": None}}
    assert found == [
        SentChange(DAY + timedelta(day), "rejected", "X", "a01", "run", changes, ["B__c"])
        for day in range(MOST, 0, -1)
    ]
    assert str(found[0].changes) == str(changes)
