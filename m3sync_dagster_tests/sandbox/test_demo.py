import random

from m3sync_dagster.sandbox.demo import change
from m3sync_dagster.sandbox.organization import Organization


def test_a_round_of_changes_is_such_as_any_day_brings() -> None:
    organization = Organization.generate(5, balances=6)
    before = {
        entity: {one: organization.get(entity, one) for one in organization.ids(entity)}
        for entity in ("accounts", "balances")
    }
    change(organization, random.Random(1))  # noqa: S311 - sample data
    changed = {
        entity: [one for one, record in held.items() if organization.get(entity, one) != record]
        for entity, held in before.items()
    }
    assert (len(changed["accounts"]), len(changed["balances"])) == (1, 3)
    for balance in changed["balances"]:
        old, new = before["balances"][balance], organization.get("balances", balance)
        assert new["amount"] < (old.get("amount") or 0)
        # m3ter gives a balance no new version when it is drawn down.
        assert new["version"] == old["version"]
