from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.state import PostgresDescribeCache


def test_describes_are_kept_apart_by_asker_and_object(kept_connection: KeptConnection) -> None:
    ours, theirs = (
        PostgresDescribeCache(kept_connection, "us"),
        PostgresDescribeCache(kept_connection, "them"),
    )
    assert ours.read("A__c") is None
    ours.write("A__c", b'{"name":"A__c"}', "Mon, 30 Nov 2026 08:34:54 GMT")
    assert ours.read("A__c") == (b'{"name":"A__c"}', "Mon, 30 Nov 2026 08:34:54 GMT")
    assert ours.read("B__c") is None
    assert theirs.read("A__c") is None


def test_a_later_describe_takes_the_place_of_an_earlier_one(
    kept_connection: KeptConnection,
) -> None:
    describes = PostgresDescribeCache(kept_connection, "us")
    for body in (b"{}", b'{"name":"\\u0000 \xc3\xbc"}'):
        describes.write("A__c", body, "")
        assert describes.read("A__c") == (body, "")
