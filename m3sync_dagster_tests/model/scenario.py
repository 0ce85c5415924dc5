"""A sequence of changes and runs, what is known of Salesforce at each point, and what must hold.

The state of Salesforce is not predicted: at a quiet point it has to be what the reference mapping
says of m3ter's records. Only what somebody has changed by hand in Salesforce is followed, because a
run sees such changes by their effects alone: ``Touch`` says until when one may stay.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from m3sync_dagster_tests.model import reference, runs
from m3sync_dagster_tests.model.interruptions import Killed
from m3sync_dagster_tests.model.reference import ENTITIES, FIRST_KEY, SECOND_KEY, Settings
from m3sync_dagster_tests.model.runs import FATES, Run
from m3sync_dagster_tests.model.world import M3terOrganization, SalesforceOrg, World

LETTERS = {"account": "a", "contract": "c", "commitment": "m", "balance": "b"}
MOST_RUNS = 6
"""Quiet runs after which nothing may change any longer: one for each level of parents, and two."""
FOR_GOOD = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "DUPLICATE_VALUE")
"""Refusals after which a row rests for hours, although the cause may be gone."""
STAMPS = {"CreatedDate", "LastModifiedDate", "SystemModstamp"}
_RECORD = {
    "version": 1,
    "dtCreated": "2026-01-01T00:00:00.000Z",
    "dtLastModified": "2026-01-02T00:00:00.000Z",
}

Place = tuple[int, str, str]
"""A record of Salesforce: the org's number, the object, and the m3ter id that it had."""


@dataclass
class Touch:
    """A change by hand in Salesforce of which m3sync need not know yet.

    Args:
        row: what Salesforce had to hold then; ``None`` where m3ter did not list the record.
        gone: the record is no longer found by its external ID.
        parent: a record that the touched one points to is no longer found.
        due: the number of complete runs from which on it is no excuse any more.
    """

    row: dict[str, Any] | None
    gone: bool = False
    parent: Place | None = None
    due: int | None = None


@dataclass
class Scenario:
    """One example.

    Args:
        world: everything around the product; reset.
        run_once: how a run is made.
    """

    world: World
    run_once: Callable[..., Run] = runs.quick
    settings: Settings = field(default_factory=Settings)
    runs: int = 0
    complete: int = 0
    quick_repairs: bool = True
    touches: dict[Place, list[Touch]] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    _versions: dict[tuple[int, str, str], list[dict[str, Any]]] = field(default_factory=dict)
    _configured: list[Settings] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.enter(self.settings)

    # m3ter

    def put(self, entity: str, number: int, **fields: object) -> None:
        """Create a record in m3ter, or replace it."""
        record = {"id": name_of(entity, number), **_RECORD, **fields}
        self.versions(entity, number).append(record)
        self.m3ter.put(f"{entity}s", record)

    def revert(self, entity: str, number: int) -> None:
        """Give a record the content back that it had before, also if it was deleted since."""
        versions = self.versions(entity, number)
        if len(versions) > 1:
            versions.append(versions.pop(-2))
        if versions:
            self.m3ter.put(f"{entity}s", versions[-1])

    def versions(self, entity: str, number: int) -> list[dict[str, Any]]:
        """Every content that a record of m3ter has had, the latest last."""
        place = self.settings.m3ter, entity, name_of(entity, number)
        return self._versions.setdefault(place, [])

    @property
    def m3ter(self) -> M3terOrganization:
        """The organization of m3ter that the integration reads."""
        return self.world.m3ter[self.settings.m3ter]

    def drop(self, entity: str, number: int) -> None:
        """Delete a record in m3ter."""
        record_id = name_of(entity, number)
        if record_id in self.m3ter.organization.ids(f"{entity}s"):
            self.m3ter.organization.remove(f"{entity}s", record_id)

    def listed(self, entity: str) -> dict[str, dict[str, Any]]:
        """The records that are carried, by id."""
        organization = self.m3ter.organization
        found = (organization.get(f"{entity}s", one) for one in organization.ids(f"{entity}s"))
        return {r["id"]: r for r in found if self.settings.in_scope(entity, r)}

    # Salesforce, by hand

    @property
    def org(self) -> SalesforceOrg:
        """The org that the integration writes to."""
        return self.world.orgs[self.settings.org]

    def edit(self, entity: str, number: int) -> None:
        """Change a field of a record in Salesforce."""
        name, record_id = self.settings.object(entity), name_of(entity, number)
        for record in self._found(entity, record_id):
            value = {"Currency__c": "by hand"} if entity != "contract" else {"Name": "by hand"}
            self.org.send("PATCH", f"/sobjects/{name}/{record['Id']}", value)
            self._touch(entity, record_id)

    def delete(self, entity: str, number: int) -> None:
        """Delete a record in Salesforce."""
        record_id = name_of(entity, number)
        for record in self._found(entity, record_id):
            self._touch_gone(entity, record_id, record["Id"])
            self.org.delete(self.settings.object(entity), record["Id"])

    def rekey(self, entity: str, number: int, key: str | None) -> None:
        """Give a record another external ID in Salesforce."""
        record_id, name = name_of(entity, number), self.settings.object(entity)
        for record in self._found(entity, record_id):
            self._touch_gone(entity, record_id, record["Id"])
            body = {self.settings.key(entity): key and f"{key}-{record['Id']}"}
            self.org.send("PATCH", f"/sobjects/{name}/{record['Id']}", body)

    def wipe(self) -> None:
        """Delete everything of ours in the org."""
        for entity in ENTITIES:
            for number in range(1, 10):
                self.delete(entity, number)

    def _found(self, entity: str, record_id: str) -> list[dict[str, Any]]:
        key = self.settings.key(entity)
        held = self.org.records(self.settings.object(entity))
        return [record for record in held if record[key] == record_id]

    def _touch(self, entity: str, record_id: str, **what: Any) -> None:  # noqa: ANN401 - of Touch
        touch = Touch(self.expected(entity, record_id), **what)
        self.touches.setdefault(self._place(entity, record_id), []).append(touch)

    def _touch_gone(self, entity: str, record_id: str, salesforce_id: str) -> None:
        self._touch(entity, record_id, gone=True)
        for child in ENTITIES:
            for record in self.org.records(self.settings.object(child)):
                if salesforce_id in {record[name] for name in _lookups(child)}:
                    child_id = str(record[self.settings.key(child)])
                    self._touch(child, child_id, parent=self._place(entity, record_id))

    def _place(self, entity: str, record_id: str) -> Place:
        return self.settings.org, self.settings.object(entity), record_id

    def expected(self, entity: str, record_id: str) -> dict[str, Any] | None:
        """What Salesforce has to hold of a record; ``None`` if it is invalid, or not listed."""
        record = self.listed(entity).get(record_id)
        return None if record is None else reference.expected(self.settings, entity, record)

    # The integration

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - of Settings
        """Change the integration's settings."""
        self._enter(replace(self.settings, **settings))

    def configure_back(self) -> None:
        """Go back to the settings before."""
        if self._configured:
            self._enter(self._configured[-1])

    def _enter(self, settings: Settings) -> None:
        self._configured.append(self.settings)
        self.settings = settings
        self.world.enter(settings)

    # What goes wrong

    def fault(self, **rule: Any) -> None:  # noqa: ANN401 - JSON
        """Let something go wrong in Salesforce; see the sandbox's ``faults``."""
        self.org.org.faults.add(rule)

    def lose_answer(self, path: str, *, when: str = "after", times: int = 1, skip: int = 0) -> None:
        """Cut the connection of a request before or after it has been carried out."""
        self.fault(path=path, drop=when, times=times, skip=skip)

    def refuse(self, entity: str, number: int, code: str, times: int | None) -> None:
        """Let Salesforce refuse a record."""
        record_id = name_of(entity, number)
        rows = {"object": self.settings.object(entity), "external_ids": [record_id], "code": code}
        self.fault(rows=rows, times=times)
        if code in FOR_GOOD:
            self.refused.add((entity, record_id))

    def m3ter_fault(self, kind: str, times: int) -> None:
        """Let m3ter fail to answer."""
        from m3sync_dagster.sandbox.m3ter.faults import Drop, Fault, Respond  # noqa: PLC0415

        action = Drop() if kind == "drop" else Respond(503)
        self.m3ter.faults.add(Fault(action, times=times))

    def calm(self) -> None:
        """Let everything work again."""
        self.world.calm()

    # Runs

    def run(
        self,
        *,
        full: bool = False,
        only: str | None = None,
        interrupted: AbstractContextManager[None] | None = None,
    ) -> Run:
        """Make a run, to its end or not."""
        try:
            with interrupted or nullcontext():
                run = self.run_once(full=full, only=only)
        except Killed:
            run = Run(killed=True)
        return self.note(run, full=full, whole=not only and not interrupted)

    def note(self, run: Run, *, full: bool = False, whole: bool = True) -> Run:
        """Take down what came of a run, and see what must hold of every run.

        Args:
            run: the run.
            full: every row was to be sent.
            whole: nothing was left out, and nothing changed meanwhile.
        """
        self.runs += 1
        self._check_counts(run, undisturbed=whole)
        for org in self.world.orgs:
            org.check_others()
        if run.complete and whole:
            self._note_complete(everything=full)
        return run

    def killed_run(self, step: int, *, after: bool, full: bool = False) -> Run:
        """Make a run that dies at a step."""
        from m3sync_dagster_tests.model.interruptions import die  # noqa: PLC0415

        return self.run(full=full, interrupted=self.world.steps.interrupted(step, die, after=after))

    def cut_run(self, step: int, *, full: bool = False) -> Run:
        """Make a run that loses its connections to PostgreSQL at a step."""
        drop = self.world.drop_connections
        return self.run(
            full=full, interrupted=self.world.steps.interrupted(step, drop, after=False)
        )

    def overtaken_run(self, step: int, change: Callable[[], None]) -> Run:
        """Make a run during which something else changes."""
        return self.run(interrupted=self.world.steps.interrupted(step, change, after=False))

    def repair(self) -> None:
        """Type ``m3sync verify --repair``."""
        with runs.quick_repairs() if self.quick_repairs else nullcontext():
            said = runs.command("verify", "acme", "--repair", "--json")
        self.runs += 1
        if said and not json.loads(said)["repair"]["problems"]:
            self._note_complete(everything=True)

    def retry(self) -> None:
        """Type ``m3sync rejects retry``."""
        runs.command("rejects", "retry", "acme")
        if not self.org.org.faults.rows:
            self.refused.clear()

    def _note_complete(self, *, everything: bool) -> None:
        """See which changes by hand are no excuse any more.

        What a run finds out late, such as a missing parent, the next one puts right.
        """
        self.complete += 1
        for entity in ENTITIES:
            for record_id in self.listed(entity):
                now = self.expected(entity, record_id)
                for touch in self.touches.get(self._place(entity, record_id), []):
                    known = everything or now != touch.row or self._back(entity, record_id, touch)
                    if touch.due is None and known:
                        touch.due = self.complete + 1

    def _back(self, entity: str, record_id: str, touch: Touch) -> bool:
        if touch.parent is not None:
            return self._exists(touch.parent)
        return touch.gone and bool(self._found(entity, record_id))

    def _exists(self, place: Place) -> bool:
        org, name, record_id = place
        held = self.world.orgs[org].records(name)
        return any(record_id in {r[FIRST_KEY], r.get(SECOND_KEY)} for r in held)

    def _check_counts(self, run: Run, *, undisturbed: bool) -> None:
        for entity, counts in run.counts.items():
            fates = {fate: counts[fate] for fate in FATES}
            assert counts["read"] == sum(fates.values()), (entity, counts)
            if undisturbed:
                assert counts["read"] == len(self.listed(entity)), (entity, counts)

    # What must hold

    def quiet(self) -> None:
        """Make quiet runs, and see that Salesforce holds what it has to."""
        self.calm()
        self._quiet_run()
        self._quiet_run()
        self.check()
        for _ in range(MOST_RUNS - 2):
            before = self._state()
            self.org.calls()
            self._quiet_run()
            calls = self.org.calls()
            if self._state() == before:
                break
        else:
            raise AssertionError(f"quiet runs go on changing something: {before}")
        self.check(settled=True)
        if not self.world.rejects():
            assert calls == 1, f"a run with nothing to do makes {calls} calls"

    def _quiet_run(self) -> None:
        run = self.run()
        assert run.complete, run.errors

    def _state(self) -> object:
        return {entity: self.held(entity) for entity in ENTITIES}, self.world.rejects()

    def check(self, *, settled: bool = False) -> None:
        """See that Salesforce holds what it has to.

        Args:
            settled: so many quiet runs were made that there is no excuse for a reject but its
                cause.
        """
        rejects = self.world.rejects()
        problems = list(self._differences(rejects))
        problems += [
            f"{one} is rejected, and m3ter does not list it" for one in self._stale(rejects)
        ]
        problems += list(self._doubles())
        if settled:
            problems += list(self._unfounded(rejects))
        assert not problems, "\n".join(problems)

    def _differences(self, rejects: dict[tuple[str, str], str]) -> Iterator[str]:
        for entity in ENTITIES:
            held = self.held(entity)
            for record_id in self.listed(entity):
                want, have = self.expected(entity, record_id), held.get(record_id)
                if (entity, record_id) in rejects or self._excused(entity, record_id):
                    continue
                if want is None:
                    yield f"{entity} {record_id} is invalid, and not listed as rejected"
                elif have is None:
                    yield f"{entity} {record_id} is missing in Salesforce"
                elif differing := {k: (v, have[k]) for k, v in want.items() if v != have[k]}:
                    yield f"{entity} {record_id} differs (m3ter, Salesforce): {differing}"

    def held(self, entity: str) -> dict[str, dict[str, Any]]:
        """What Salesforce holds of an entity by external ID; lookups as external IDs."""
        parents = {
            record["Id"]: record[self.settings.key(parent)]
            for parent in ("account", "contract")
            for record in self.org.records(self.settings.object(parent))
        }
        lookups = _lookups(entity)
        return {
            record[self.settings.key(entity)]: {
                name: parents.get(value) if name in lookups else value
                for name, value in record.items()
                if name not in STAMPS
            }
            for record in self.org.records(self.settings.object(entity))
        }

    def _excused(self, entity: str, record_id: str) -> bool:
        touches = self.touches.get(self._place(entity, record_id), [])
        return any(touch.due is None or self.complete < touch.due for touch in touches)

    def _stale(self, rejects: dict[tuple[str, str], str]) -> list[tuple[str, str]]:
        return [(entity, one) for entity, one in rejects if one not in self.listed(entity)]

    def _doubles(self) -> Iterator[str]:
        for entity in ENTITIES:
            records = self.org.records(self.settings.object(entity))
            keys = Counter(one for r in records for one in {r[FIRST_KEY], r.get(SECOND_KEY)} if one)
            yield from (f"{entity} {one} is there twice" for one, n in keys.items() if n > 1)

    def _unfounded(self, rejects: dict[tuple[str, str], str]) -> Iterator[str]:
        for (entity, record_id), error_class in rejects.items():
            want = self.expected(entity, record_id)
            if want is None or (entity, record_id) in self.refused:
                continue
            missing = list(self.missing_parents(entity, want))
            if not missing:
                yield f"{entity} {record_id} is {error_class}, and nothing is wrong with it"
            for parent, parent_id in missing:
                known = self.expected(parent, parent_id) is not None
                if known and (parent, parent_id) not in rejects:
                    yield f"{entity} {record_id} waits for {parent} {parent_id}, which is not sent"

    def missing_parents(self, entity: str, want: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The parents of a row that are not in Salesforce."""
        for name, parent in _lookups(entity).items():
            if want[name] and not self._found(parent, want[name]):
                yield parent, want[name]


def name_of(entity: str, number: int) -> str:
    """The id of a record of m3ter."""
    return f"{LETTERS[entity]}{number}"


def _lookups(entity: str) -> dict[str, str]:
    """The lookups of an entity, with the entities that they point to."""
    if entity == "account":
        return {"Parent_Account__c": "account"}
    if entity == "contract":
        return {reference.ACCOUNT: "account"}
    return {reference.ACCOUNT: "account", reference.CONTRACT: "contract"}
