"""``m3sync check``: configuration, both connections, and the org's fields against the mapping."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from m3sync_dagster.cli.exit_codes import code_of
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_table
from m3sync_dagster.sync.errors import ConfigurationError, SyncError

if TYPE_CHECKING:
    from m3sync_dagster.cli.find_integration import Found
    from m3sync_dagster.components.resources import M3terResource, SalesforceResource
    from m3sync_dagster.salesforce import SalesforceClient
    from m3sync_dagster.state import SalesforceOrg
    from m3sync_dagster.sync.schema_findings import SchemaFinding

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
CONFIGURATION = "configuration"


def check(name: Name = None, *, json: Json = False) -> None:
    """Check the configuration, both connections, and the org's objects and fields."""
    ready()
    with Checks() as checks:
        findings = list(_findings(checks, name))
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        _show(findings)
    errors = [finding.error for finding in findings if finding.error]
    if errors:
        raise typer.Exit(min(code_of(error) for error in errors))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of one integration has found.

    Args:
        integration: its name.
        check: ``configuration``, ``m3ter``, ``salesforce``, or the name of an entity.
        message: what is there.
        error: what is wrong; ``None`` where nothing is.
        warning: whether the message is about something that may go wrong.
        proposal: YAML to paste into the integration's file.
        org: the Salesforce org that was asked.
    """

    integration: str
    check: str
    message: str
    error: SyncError | None = None
    warning: bool = False
    proposal: str | None = None
    org: "SalesforceOrg | None" = None

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        told = {
            "integration": self.integration,
            "check": self.check,
            "ok": self.error is None,
            "message": self.error.cause if self.error else self.message,
            "remedy": self.error.remedy if self.error else None,
        }
        org = {"salesforce_org": self.org.as_dict()} if self.org else {}
        return told | org | ({"proposal": self.proposal} if self.proposal else {})

    @property
    def verdict(self) -> str:
        """One word for a table."""
        return "problem" if self.error else "warning" if self.warning else "OK"


@dataclass
class Checks:
    """The checks of integrations; those that share a credential ask a system once.

    Attributes:
        asked: what became of a credential's check, by its name.
    """

    asked: dict[str, str | SyncError] = field(default_factory=dict)
    _m3ter: dict[str, "M3terResource"] = field(default_factory=dict)
    _orgs: dict[str, "SalesforceResource"] = field(default_factory=dict)
    _asked_orgs: dict[str, "SalesforceOrg"] = field(default_factory=dict)
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def of(self, found: "Found") -> Iterator[CheckResult]:
        """Check one integration: its configuration, its systems, then each entity's fields."""
        integration = found.integration
        usable = self._finding(found, CONFIGURATION, lambda: _configured(found))
        yield usable
        yield self._finding(found, "m3ter", lambda: self._ask_m3ter(found))
        if not integration.connected:
            return
        org = self._finding(found, "salesforce", lambda: self._ask_salesforce(found))
        yield replace(org, org=self._asked_orgs.get(str(integration.salesforce_credential)))
        if org.error:
            return
        if not integration.prefix_known:
            yield self._propose(found)
        elif not usable.error:
            yield from self._fit(found)

    def _finding(self, found: "Found", name: str, act: Callable[[], str]) -> CheckResult:
        try:
            return CheckResult(found.integration.name, name, act())
        except SyncError as error:
            return CheckResult(found.integration.name, name, "", error)

    def _ask_m3ter(self, found: "Found") -> str:
        resource = found.m3ter()
        return self._once(resource.credential, lambda: self._call_m3ter(resource))

    def _call_m3ter(self, resource: "M3terResource") -> str:
        self._opened.enter_context(resource.opened()).organization.check()
        return f"m3ter lets the credential {resource.credential} in"

    def _ask_salesforce(self, found: "Found") -> str:
        resource = found.salesforce()
        return self._once(resource.credential, lambda: self._call_salesforce(resource))

    def _call_salesforce(self, resource: "SalesforceResource") -> str:
        from m3sync_dagster.cli.salesforce_org import ask_org

        self._orgs[resource.credential] = self._opened.enter_context(resource.opened())
        resource.org.log_in()
        org = self._asked_orgs[resource.credential] = ask_org(resource.org)
        return (
            f"Salesforce lets the credential {resource.credential} in. The org is {org}; "
            f"{_left(resource.org)}"
        )

    def _once(self, credential: str, ask: Callable[[], str]) -> str:
        if credential not in self.asked:
            try:
                self.asked[credential] = ask()
            except SyncError as error:
                self.asked[credential] = error
        answer = self.asked[credential]
        if isinstance(answer, SyncError):
            raise answer
        return answer

    def _fit(self, found: "Found") -> Iterator[CheckResult]:
        """Hold every entity against the org; propose another mapping where a package is behind."""
        from m3sync_dagster.sync.preflight import Preflight

        integration = found.integration
        mappings, blocked = integration.mappings, False
        try:
            report = Preflight(mappings, self._org(found)).check_all()
        except SyncError as error:
            yield CheckResult(integration.name, "salesforce", "", error)
            return
        for entity, findings in report.items():
            if not findings:
                columns = len(mappings[entity].columns) + 1
                message = f"{mappings[entity].object_name} has all {columns} fields"
                yield CheckResult(integration.name, entity, message)
            yield from (_located(found, finding) for finding in findings)
            blocked = blocked or any(finding.blocks for finding in findings)
        if blocked and integration.namespace != "custom_objects":
            yield self._propose(found)

    def _propose(self, found: "Found") -> CheckResult:
        from m3sync_dagster.cli.find_integration import at_place
        from m3sync_dagster.cli.proposal_yaml import proposed

        integration, name = found.integration, found.integration.name
        try:
            text = at_place(found.path, name, lambda: proposed(found, self._org(found)))
        except SyncError as error:
            return CheckResult(name, "namespace", "", error)
        cause = f"where {integration.namespace}'s objects are has to be said in {found.path}"
        remedy = (
            "Look the proposed mapping through, and put it there in the place of namespace, "
            "namespace_prefix and entities."
        )
        return CheckResult(name, "namespace", "", ConfigurationError(cause, remedy), proposal=text)

    def _org(self, found: "Found") -> "SalesforceClient":
        return self._orgs[str(found.integration.salesforce_credential)].org


def _located(found: "Found", finding: "SchemaFinding") -> CheckResult:
    from m3sync_dagster.components.load_errors import locate

    name = found.integration.name
    place = f"{locate(found.path, name, finding.where)}: {finding.cause}"
    if not finding.blocks:
        return CheckResult(name, finding.entity, f"{place}. {finding.remedy}", warning=True)
    return CheckResult(name, finding.entity, "", ConfigurationError(place, finding.remedy))


def _left(org: "SalesforceClient") -> str:
    """Say how many API calls are left, as far as this user may know.

    A user without View Setup and Configuration may not see an org's limits, and needs not.
    """
    try:
        daily = org.limits().get("DailyApiRequests", {})
    except ConfigurationError:
        return "it does not tell this user how many API calls are left"
    return f"{daily.get('Remaining')} of {daily.get('Max')} API calls of the day are left"


def _configured(found: "Found") -> str:
    found.require_usable()
    return f"{found.path} holds"


def _findings(checks: Checks, name: str | None) -> Iterator[CheckResult]:
    from m3sync_dagster.cli.find_integration import find, found_in
    from m3sync_dagster.components.loading import load_project

    if name is not None:
        yield from checks.of(find(name))
        return
    project = load_project()
    for problem in project.problems:
        error = ConfigurationError(problem.message, "Correct the file.")
        yield CheckResult(problem.name, CONFIGURATION, "", error)
    for found in found_in(project):
        yield from checks.of(found)


def _show(findings: list[CheckResult]) -> None:
    print_table(
        "Checks",
        ["integration", "check", "", "what was found"],
        [
            [
                finding.integration,
                finding.check,
                finding.verdict,
                str(finding.error or finding.message),
            ]
            for finding in findings
        ],
    )
    for finding in findings:
        if finding.proposal:
            sys.stdout.write(f"\n{finding.proposal}")
