import random

from m3sync_dagster.sandbox.demo_servers import change
from m3sync_dagster.sandbox.organization import Organization


def test_a_set_of_changes_draws_down_balances_and_renames_an_account() -> None:
    organization = Organization.generate(5, balances=6)
    before = {
        entity: {
            record_id: organization.get(entity, record_id) for record_id in organization.ids(entity)
        }
        for entity in ("accounts", "balances")
    }
    change(organization, random.Random(1))  # noqa: S311 - sample data
    changed = {
        entity: [
            record_id
            for record_id, record in records.items()
            if organization.get(entity, record_id) != record
        ]
        for entity, records in before.items()
    }
    assert (len(changed["accounts"]), len(changed["balances"])) == (1, 3)
    for balance in changed["balances"]:
        old, new = before["balances"][balance], organization.get("balances", balance)
        assert new["amount"] < (old.get("amount") or 0)
        # m3ter gives a balance no new version when it is drawn down.
        assert new["version"] == old["version"]
