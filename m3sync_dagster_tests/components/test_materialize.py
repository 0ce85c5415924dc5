"""Whole runs in this process, over real HTTP between the two sandbox servers."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal

import dagster as dg
import pytest
from psycopg.sql import SQL, Identifier

from m3sync_dagster.state import IntegrationLock, connect, list_rejects
from m3sync_dagster.state.postgres_from_environment import postgres_url as current_url
from m3sync_dagster_tests.conftest import HOUR, INTEGRATION, DefsFolder, Sandbox, sync

ENTITIES = ("account", "contract", "commitment", "balance")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(environment: Sandbox, instance: dg.DagsterInstance) -> Run:
    def execute(
        partition_key: str | None = HOUR, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        return sync(instance, *ENTITIES, partition_key=partition_key, tags=tags)

    return execute


def counts(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    """Each entity's numeric metadata that is not zero."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        entity = materialization.asset_key.path[-1].removeprefix("salesforce_")
        found[entity] = {
            name: entry.value
            for name, entry in materialization.metadata.items()
            if isinstance(entry.value, int) and entry.value
        }
    return found


def test_first_run_creates_everything_and_the_second_sends_nothing(
    run: Run, environment: Sandbox
) -> None:
    first = run()
    assert first.success
    got = counts(first)
    for entity in ENTITIES:
        number = environment.organization.count(f"{entity}s")
        assert got[entity]["read"] == got[entity]["created"] == number
        assert len(environment.records(f"m3ter_{entity.title()}__c")) == number
    environment.salesforce_calls()
    second = run()
    assert second.success
    assert {e: c.get("unchanged") for e, c in counts(second).items()} == {
        e: c["read"] for e, c in got.items()
    }
    # The login, which proves that the credential and the org are as before.
    assert environment.salesforce_calls() == 1


def test_the_row_count_is_what_salesforce_has_of_ours(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    organization = environment.organization
    sync(instance, "account")
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", key).get("parentAccountId") for key in ids}
    deleted, broken = [key for key in ids if key not in parents][:2]
    organization.remove("accounts", deleted)
    organization.merge("accounts", broken, {"daysBeforeBillDue": "soon"})
    result = sync(instance, "account")
    assert counts(result)["account"]["read"] == len(ids) - 1
    held = environment.records("m3ter_Account__c")
    assert counts(result)["account"]["dagster/row_count"] == len(held) == len(ids)
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    org = f"{environment.environment['SALESFORCE_LOGIN_URL']}/lightning"
    assert metadata["salesforce_list_view"].value == f"{org}/o/m3ter_Account__c/list"
    schema, rejects = metadata["dagster/column_schema"], metadata["rejects"]
    assert isinstance(schema, dg.TableSchemaMetadataValue)
    assert isinstance(rejects, dg.TableMetadataValue)
    columns = {one.name: one.type for one in schema.schema.columns}
    assert columns["Code__c"] == "string(255)"
    assert "not known" not in columns.values()
    (reject,) = rejects.records
    page = f"{org}/r/m3ter_Account__c/{held[broken]['Id']}/view"
    assert (reject.data["m3ter_id"], reject.data["salesforce_url"]) == (broken, page)


def test_a_run_begins_at_its_own_start_among_others(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    late = INTEGRATION.replace("acme", "late").replace("2026-11-01", "2026-11-20")
    defs_folder.write("late", late)
    result = run()
    assert result.success
    assert counts(result).keys() == set(ENTITIES)


def test_changes_nulls_and_rejects_in_the_third_run(run: Run, environment: Sandbox) -> None:
    run()
    organization = environment.organization
    ids = organization.ids("accounts")
    renamed, cleared, rejected = ids[3], ids[4], ids[5]
    organization.change("accounts", renamed, name="New name “Ünïcode” 漢字")
    organization.change("accounts", cleared, purchaseOrderNumber=None)
    organization.change("accounts", rejected, purchaseOrderNumber="x" * 300)
    environment.salesforce_calls()
    third = counts(run())["account"]
    assert (third["updated"], third["invalid"]) == (2, 1)
    # A login, a describe, and one call for both rows.
    assert environment.salesforce_calls() == 3
    held = environment.records("m3ter_Account__c")
    assert held[renamed]["Account_Name__c"] == "New name “Ünïcode” 漢字"
    assert held[cleared]["Purchase_Order_Number__c"] is None
    with connect(current_url()) as connection:
        (reject,) = list_rejects(connection, "acme")
    assert (reject.m3ter_id, reject.fields) == (rejected, ["Purchase_Order_Number__c"])
    organization.change("accounts", rejected, purchaseOrderNumber="PO-1")
    assert counts(run())["account"]["updated"] == 1


def test_salesforce_holds_every_amount_to_the_last_digit(run: Run, environment: Sandbox) -> None:
    run()
    held = environment.records("m3ter_Balance__c")
    for balance_id in environment.organization.ids("balances"):
        amount = environment.organization.get("balances", balance_id).get("amount")
        wanted = None if amount is None else Decimal(str(amount))
        assert held[balance_id]["Amount__c"] == wanted


def test_lookups_point_to_the_parents(run: Run, environment: Sandbox) -> None:
    run()
    accounts = environment.records("m3ter_Account__c")
    contracts = environment.records("m3ter_Contract__c")
    by_salesforce_id = {record["Id"]: m3ter_id for m3ter_id, record in accounts.items()}
    for m3ter_id, contract in contracts.items():
        source = environment.organization.get("contracts", m3ter_id)
        assert by_salesforce_id[contract["m3ter_Account__c"]] == source["accountId"]
    for m3ter_id, account in accounts.items():
        parent = environment.organization.get("accounts", m3ter_id).get("parentAccountId")
        assert by_salesforce_id.get(account["Parent_Account__c"]) == (parent or None)


def test_a_row_that_salesforce_rejects_stops_no_other(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    parents = {
        organization.get("accounts", m3ter_id).get("parentAccountId")
        for m3ter_id in organization.ids("accounts")
    }
    bad = next(m3ter_id for m3ter_id in organization.ids("accounts") if m3ter_id not in parents)
    rows = {
        "object": "m3ter_Account__c",
        "external_ids": [bad],
        "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "Not in this org",
    }
    environment.salesforce.post(
        "/sandbox/faults", json={"rows": rows, "times": 1}
    ).raise_for_status()
    result = run()
    assert result.success
    got = counts(result)["account"]
    assert (got["rejected"], got["created"]) == (1, got["read"] - 1)
    check = next(
        e for e in result.get_asset_check_evaluations() if e.asset_key.path[-1].endswith("account")
    )
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    with connect(current_url()) as connection:
        events = connection.execute("SELECT name, entity FROM m3sync.integration_event").fetchall()
    assert ("integration.validation.error", "account") in events
    again = counts(run())["account"]
    assert (again["created"], again["unchanged"]) == (1, got["read"] - 1)


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    (event,) = [e for e in result.all_events if e.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure
    assert failure.description
    return failure.description


def test_a_refused_credential_is_reported_with_a_message(
    run: Run,
    environment: Sandbox,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "a wrong one")
    result = run()
    text = failure(result)
    assert text.startswith("acme, account: ")
    assert "a wrong one" not in text
    ended = instance.get_run_by_id(result.run_id)
    assert ended
    tags = ended.tags
    assert tags["m3sync/status"] == "AUTH_FAILED"
    assert tags["m3sync/integration"] == "acme"
    assert tags["m3sync/salesforce_credential"] == "salesforce_production"
    with connect(current_url()) as connection:
        rows = connection.execute("SELECT name, remedy FROM m3sync.integration_event").fetchall()
    assert [name for name, _ in rows] == ["integration.authentication.error"]
    assert rows[0][1]


def test_an_unset_variable_is_named_with_its_credential(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M3TER_API_SECRET")
    assert "M3TER_API_SECRET, api_secret_env of the credential m3ter_production" in failure(run())


def test_an_integration_that_is_not_connected_touches_nothing(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    defs_folder.write(
        "acme", INTEGRATION.replace("  salesforce_credential: salesforce_production\n", "")
    )
    assert "NOT CONNECTED" in failure(run())
    assert environment.m3ter.get("/sandbox/calls").json() == []
    assert environment.salesforce_calls() == 0


def test_scope_holds_for_all_four_entities(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    organization = environment.organization
    owners = [organization.get("contracts", c)["accountId"] for c in organization.ids("contracts")]
    allowed = sorted(set(owners))[:4]
    lists = f"  account_ids: {json.dumps(allowed)}\n  restricted_account_ids: [{allowed[0]}]\n"
    defs_folder.write("acme", INTEGRATION.replace("  entities:", f"{lists}  entities:"))
    assert run().success
    assert set(environment.records("m3ter_Account__c")) == set(allowed[1:])
    for entity in ENTITIES[1:]:
        wanted = {
            record_id
            for record_id in organization.ids(f"{entity}s")
            if organization.get(f"{entity}s", record_id)["accountId"] in allowed[1:]
        }
        assert set(environment.records(f"m3ter_{entity.title()}__c")) == wanted
    asked = environment.m3ter.get("/sandbox/calls").json()
    listed = [call["query"] for call in asked if call["method"] == "GET"]
    assert listed
    assert all({"ids", "accountId"} & query.keys() for query in listed)
    assert not any(allowed[0] in str(query) for query in listed)


def test_full_sends_everything_again(run: Run, environment: Sandbox) -> None:
    run()
    again = counts(run(tags={"m3sync/full": "true"}))
    assert all(entity["updated"] == entity["read"] for entity in again.values())


def test_a_range_of_hours_is_one_sync(run: Run, instance: dg.DagsterInstance) -> None:
    tags = {
        "dagster/asset_partition_range_start": "2026-11-24-07:00",
        "dagster/asset_partition_range_end": HOUR,
    }
    assert run(partition_key=None, tags=tags).success
    key = dg.AssetKey(["acme", "salesforce_balance"])
    assert len(instance.get_materialized_partitions(key)) == 4


def test_two_runs_never_write_one_integration_at_once(run: Run, environment: Sandbox) -> None:
    with connect(current_url()) as connection, IntegrationLock(connection, "acme"):
        assert "another run is writing the integration acme" in failure(run())
    assert run().success


def test_a_broken_database_connection_is_reported_with_a_message(
    run: Run, environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    """The lock ends with the connection, so the run has to end."""
    with connect(current_url()) as connection:
        connection.execute(
            "CREATE FUNCTION m3sync.dies() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER dies BEFORE INSERT ON m3sync.synced_record "
            "FOR EACH ROW EXECUTE FUNCTION m3sync.dies()"
        )
    assert "PostgreSQL has ended the connection" in failure(run())
    with connect(current_url()) as connection:
        connection.execute("DROP TRIGGER dies ON m3sync.synced_record")
        # An answer that is not acknowledged is not in the history either.
        assert connection.execute("SELECT * FROM m3sync.sent_change").fetchall() == []
    again = counts(run())["account"]
    assert again["updated"] > 0
    assert again["read"] == again["updated"] + again.get("created", 0)
    assert len(environment.records("m3ter_Account__c")) == again["read"]


def test_no_secret_is_written_down(
    run: Run, environment: Sandbox, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    result = run()
    written = [str(event) for event in instance.all_logs(result.run_id)]
    written += [str(instance.get_run_by_id(result.run_id)), caplog.text]
    with connect(current_url()) as connection:
        tables = "synced_record rejected_record ingest_job integration_event sent_change"
        for table in tables.split():
            rows = connection.execute(SQL("SELECT * FROM m3sync.{}").format(Identifier(table)))
            written += map(str, rows.fetchall())
    for secret in environment.secrets:
        assert not any(secret in text for text in written)


BAD_TEXTS = {
    "purchaseOrderNumber": b'"\\ud83d"',
    "code": b'"Caf\xe9"',
    "emailAddress": b'"a\\u0000b"',
    "billEpoch": b"[" * 100_000 + b"]" * 100_000,
    "daysBeforeBillDue": b"1e99999999999999999999",
    "autoGenerateStatementMode": b'"x","autoGenerateStatementMode":"x"',
    "statementDefinitionId": b'"%s"' % (b"x" * 10_000_000),
}
"""Values that make one record invalid, each in a field that is carried."""


def test_bad_texts_harm_one_record_each_hour_after_hour(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    for m3ter_id in organization.ids("accounts"):
        organization.merge("accounts", m3ter_id, {"parentAccountId": None})
    ids = organization.ids("accounts")
    total = len(ids)
    bad = dict(zip(ids[10:], BAD_TEXTS, strict=False))
    for m3ter_id, field in bad.items():
        raw = b'{"id":"%s","name":"n","%s":%s}'
        raw %= m3ter_id.encode(), field.encode(), BAD_TEXTS[field]
        organization.put_raw("accounts", m3ter_id, raw)
    good, unmapped = total - len(bad), ids[0]
    raw = organization.raw("accounts", unmapped)
    organization.put_raw("accounts", unmapped, raw[:-1] + b',"notOurs":"\\ud83d \xff"}')

    first, second, third = (counts(run())["account"] for _ in range(3))

    expected = {"read": total, "invalid": len(bad)}
    assert first.items() >= (expected | {"created": good}).items()
    assert second.items() >= (expected | {"unchanged": good}).items()
    assert third.items() >= (expected | {"unchanged": good}).items()
    assert unmapped in environment.records("m3ter_Account__c")
    with connect(current_url()) as connection:
        rejects = list_rejects(connection, "acme")
    accounts = {r.m3ter_id: r for r in rejects if r.entity == "account"}
    assert accounts.keys() == bad.keys()
    for m3ter_id, field in bad.items():
        assert accounts[m3ter_id].error_class == "invalid"
        assert accounts[m3ter_id].message.startswith((f"{field}: ", "Statement_Definition_Id__c: "))
        assert accounts[m3ter_id].message.isprintable()
        assert accounts[m3ter_id].attempts == 3


def test_emoji_up_to_the_last_character_that_a_field_holds(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    fits, too_long = organization.ids("accounts")[3:5]
    organization.change("accounts", fits, purchaseOrderNumber="🧾" * 127 + "x")
    organization.change("accounts", too_long, purchaseOrderNumber="🧾" * 128)
    account = counts(run())["account"]
    assert account["invalid"] == 1
    assert not account.get("rejected")
    held = environment.records("m3ter_Account__c")
    assert held[fits]["Purchase_Order_Number__c"] == "🧾" * 127 + "x"
    assert too_long not in held
