import json

import pytest
from m3ter_records import MAPPINGS, MAPPINGS_PAGE, PAGE, Lists, names, record_id

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.sync.account_link_types import LinkOutcome
from m3sync_dagster.sync.external_mappings import ExternalMappings
from m3sync_dagster.sync.record_decoder import decode_record

COMPARED = [entity for entity in ENTITIES.values() if entity.path in set(names())]


def read(lists: Lists, name: str) -> list[dict[str, object]]:
    """Every record of a list, page by page."""
    records: list[dict[str, object]] = []
    token: str | None = "0"
    while token is not None:
        page = json.loads(lists.page(name, int(token), PAGE)[0])
        records += page["data"]
        token = page["nextToken"]
    return records


@pytest.mark.parametrize("name", names())
def test_the_pages_of_a_list_have_every_record_once(name: str) -> None:
    records = read(Lists(250), name)
    assert [record["id"] for record in records] == [record_id(name, n) for n in range(250)]
    assert len({record["id"] for record in records}) == 250


def test_an_empty_list_is_one_empty_page() -> None:
    assert json.loads(Lists(0).page("accounts", 0, PAGE)[0]) == {"data": [], "nextToken": None}


def test_a_page_has_no_more_records_than_m3ter_allows() -> None:
    assert Lists(1_000).page("accounts", 0, 500)[1] == PAGE


def test_one_percent_of_the_records_change() -> None:
    before, after = (read(Lists(1_000, revision), "accounts") for revision in (0, 1))
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 10


def test_three_in_five_accounts_have_an_external_mapping() -> None:
    lists = Lists(1_000)
    mappings = ExternalMappings("Account")
    for mapping in read(lists, MAPPINGS):
        mappings.add(json.dumps(mapping).encode())
    links = [mappings.find(str(account["id"])) for account in read(lists, "accounts")]
    linked = [link for link in links if link.outcome is LinkOutcome.MATCHED]
    assert len(linked) == len({link.salesforce_id for link in linked}) == 600
    assert lists.page(MAPPINGS, 0, 500)[1] == MAPPINGS_PAGE


@pytest.mark.parametrize("entity", COMPARED, ids=lambda entity: entity.name)
def test_a_record_has_the_fields_that_are_carried(entity: EntityType) -> None:
    (record,) = read(Lists(1), entity.path)
    missing = {field.source.partition(".")[0] for field in entity.fields} - record.keys()
    # Those that m3ter leaves out if they have no value; the others have one.
    assert len(missing - {"title"}) < len(entity.fields) / 4
    assert decode_record(json.dumps(record).encode())
