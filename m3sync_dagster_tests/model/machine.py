"""Arbitrary sequences of what a ``Scenario`` can do."""

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.scenario import Scenario, name_of
from m3sync_dagster_tests.model.ways import WAYS, Way

NUMBERS = st.integers(1, 3)
"""Records of each type."""
NAMES = st.sampled_from([None, "", "Ada", "Bea", "#N/A", "É" * 90])
CURRENCIES = st.sampled_from([None, "EUR", "USD", "E" * 41])
AMOUNTS = st.sampled_from([None, 0, 1.5, -12345.678901, 999999999999, 10**12])
ACCOUNTS = NUMBERS.map(lambda number: name_of("account", number))
CONTRACTS = st.none() | NUMBERS.map(lambda number: name_of("contract", number))
FLAGS = st.sampled_from([None, True, False])
ENTITY = st.sampled_from(ENTITIES)
STEPS = st.integers(1, 80)
"""Steps of a run: requests to Salesforce, and statements on our state."""
FIELDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "account": st.fixed_dictionaries(
        {
            "name": NAMES,
            "code": st.sampled_from([None, "K1", "K2"]),
            "currency": CURRENCIES,
            "parentAccountId": st.none() | ACCOUNTS,
            "daysBeforeBillDue": st.sampled_from([None, 0, 30]),
            "customFields": st.sampled_from([None, {"tier": "gold"}, {"tier": ""}]),
        }
    ),
    "contract": st.fixed_dictionaries(
        {
            "accountId": ACCOUNTS,
            "name": NAMES,
            "startDate": st.sampled_from([None, "2026-01-31"]),
            "applyContractPeriodLimits": FLAGS,
        }
    ),
    "commitment": st.fixed_dictionaries(
        {
            "accountId": ACCOUNTS,
            "contractId": CONTRACTS,
            "currency": CURRENCIES,
            "amount": AMOUNTS,
            "separateOverageUsage": FLAGS,
        }
    ),
    "balance": st.fixed_dictionaries(
        {
            "accountId": ACCOUNTS,
            "contractId": CONTRACTS,
            "name": NAMES,
            "currency": CURRENCIES,
            "amount": AMOUNTS,
            "startDate": st.sampled_from([None, "2026-01-31T23:30:00-02:00"]),
        }
    ),
}
SOME_ACCOUNTS = st.frozensets(ACCOUNTS, max_size=3)
SETTINGS = st.one_of(
    st.fixed_dictionaries({"org": st.integers(0, 1)}),
    st.fixed_dictionaries({"m3ter": st.integers(0, 1)}),
    st.fixed_dictionaries({"code": st.booleans()}),
    st.fixed_dictionaries({"tier": st.booleans()}),
    st.fixed_dictionaries({"order": st.sampled_from([None, "X", "Y"])}),
    st.fixed_dictionaries({"allowed": SOME_ACCOUNTS}),
    st.fixed_dictionaries({"restricted": SOME_ACCOUNTS}),
    st.fixed_dictionaries({"second_key": st.booleans()}),
    st.fixed_dictionaries({"other_balance": st.booleans()}),
)


def put(scenario: Scenario, entity: str, number: int, fields: dict[str, Any]) -> None:
    """Create or replace a record; an account is not its own parent."""
    if fields.get("parentAccountId") == name_of(entity, number):
        fields = fields | {"parentAccountId": None}
    scenario.put(entity, number, **fields)


def load(scenario: Scenario) -> None:
    """Two accounts with a contract, a commitment and a balance, all in Salesforce."""
    scenario.put("account", 1, name="Ada", code="K1", currency="EUR")
    scenario.put("account", 2, name="Bea", parentAccountId="a1")
    scenario.put("contract", 1, accountId="a1", name="One")
    scenario.put("commitment", 1, accountId="a1", contractId="c1", amount=1)
    scenario.put("balance", 1, accountId="a2", contractId="c1", amount=1)
    assert scenario.run().complete


class Convergence(RuleBasedStateMachine):
    """After any sequence, two quiet runs bring Salesforce to what m3ter holds."""

    begin: ClassVar[Callable[[], Scenario]]
    examples: ClassVar[int]
    runs: ClassVar[int]

    @classmethod
    def prepare(cls, begin: Callable[[], Scenario]) -> None:
        """Say what an example begins with, and count examples and runs from now on."""
        cls.begin, cls.examples, cls.runs = staticmethod(begin), 0, 0

    def __init__(self) -> None:
        super().__init__()
        self.scenario = type(self).begin()
        self.scenario.world.reset()
        type(self).examples += 1

    @initialize(above=st.sampled_from([0, 2, 2_000]))
    def send_by_jobs(self, above: int) -> None:
        self.scenario.world.send_by_jobs(above)

    @initialize(loaded=st.sampled_from([True, True, False]))
    def load(self, loaded: bool) -> None:
        """Begin with a few records on both sides, or with nothing."""
        if loaded:
            load(self.scenario)

    @rule(number=NUMBERS, fields=FIELDS["account"])
    def account(self, number: int, fields: dict[str, Any]) -> None:
        put(self.scenario, "account", number, fields)

    @rule(number=NUMBERS, fields=FIELDS["contract"])
    def contract(self, number: int, fields: dict[str, Any]) -> None:
        put(self.scenario, "contract", number, fields)

    @rule(number=NUMBERS, fields=FIELDS["commitment"])
    def commitment(self, number: int, fields: dict[str, Any]) -> None:
        put(self.scenario, "commitment", number, fields)

    @rule(number=NUMBERS, fields=FIELDS["balance"])
    def balance(self, number: int, fields: dict[str, Any]) -> None:
        put(self.scenario, "balance", number, fields)

    @rule(entity=ENTITY, number=NUMBERS)
    def revert(self, entity: str, number: int) -> None:
        self.scenario.revert(entity, number)

    @rule(entity=ENTITY, number=NUMBERS)
    def drop(self, entity: str, number: int) -> None:
        self.scenario.drop(entity, number)

    @rule(entity=ENTITY, number=NUMBERS)
    def edit_in_salesforce(self, entity: str, number: int) -> None:
        self.scenario.edit(entity, number)

    @rule(entity=ENTITY, number=NUMBERS)
    def delete_in_salesforce(self, entity: str, number: int) -> None:
        self.scenario.delete(entity, number)

    @rule(entity=ENTITY, number=NUMBERS, key=st.sampled_from([None, "other"]))
    def rekey_in_salesforce(self, entity: str, number: int, key: str | None) -> None:
        self.scenario.rekey(entity, number, key)

    @rule()
    def wipe_salesforce(self) -> None:
        self.scenario.wipe()

    @rule(settings=SETTINGS)
    def configure(self, settings: dict[str, Any]) -> None:
        self.scenario.configure(**settings)

    @rule()
    def configure_back(self) -> None:
        self.scenario.configure_back()

    @rule()
    def abort_jobs(self) -> None:
        self.scenario.org.abort_jobs()

    @rule()
    def calm(self) -> None:
        self.scenario.calm()

    @rule(way=WAYS, full=st.sampled_from([False, False, True]))
    def run(self, way: Way, full: bool) -> None:
        way.run(self.scenario, full=full)

    @rule(entity=ENTITY, number=NUMBERS, way=WAYS, data=st.data())
    def change_and_back(self, entity: str, number: int, way: Way, data: st.DataObject) -> None:
        put(self.scenario, entity, number, data.draw(FIELDS[entity]))
        way.run(self.scenario)
        self.scenario.revert(entity, number)

    @rule(settings=SETTINGS, way=WAYS)
    def configure_and_back(self, settings: dict[str, Any], way: Way) -> None:
        self.scenario.configure(**settings)
        way.run(self.scenario)
        self.scenario.configure_back()

    @rule(step=STEPS, entity=ENTITY, number=NUMBERS, data=st.data())
    def overtaken_run(self, step: int, entity: str, number: int, data: st.DataObject) -> None:
        fields = data.draw(FIELDS[entity])
        self.scenario.overtaken_run(step, lambda: put(self.scenario, entity, number, fields))

    @rule(step=STEPS, entity=ENTITY, number=NUMBERS)
    def overtaken_in_salesforce(self, step: int, entity: str, number: int) -> None:
        self.scenario.overtaken_run(step, lambda: self.scenario.delete(entity, number))

    @rule(entity=ENTITY)
    def partial_run(self, entity: str) -> None:
        self.scenario.run(only=entity)

    @rule()
    def repair(self) -> None:
        self.scenario.repair()

    @rule()
    def retry_rejects(self) -> None:
        self.scenario.retry()

    @rule()
    def quiet(self) -> None:
        self.scenario.quiet()

    def teardown(self) -> None:
        self.scenario.quiet()
        type(self).runs += self.scenario.runs
